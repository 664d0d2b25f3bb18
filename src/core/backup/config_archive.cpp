#include "core/backup/config_archive.hpp"

#include <fcntl.h>

#include <set>

#include "core/base/file.hpp"
#include "core/pipeline/tar_writer.hpp"

namespace ark {

namespace {

constexpr size_t kConfigFileLimit = 16 << 20;

std::set<std::string> outside_files(const BackupRequest& request) {
    std::set<std::string> out;
    const std::string inside = request.data_directory + "/";
    const auto consider = [&](const std::string& path) {
        if (path.starts_with('/') && !path.starts_with(inside))
            out.insert(path);
    };
    for (const auto& [kind, path] : request.config_files)
        consider(path);
    for (const std::string& path : request.config_includes)
        consider(path);
    return out;
}

void append_file(Bytes& archive, const std::string& path) {
    const File file = File::open(path, O_RDONLY);
    const struct stat st = file.stat();
    const Bytes content = read_file(path, kConfigFileLimit);
    const Bytes header =
        tar_file_header(path.substr(1), content.size(), st.st_mode & 07777, st.st_mtim.tv_sec);
    archive.insert(archive.end(), header.begin(), header.end());
    archive.insert(archive.end(), content.begin(), content.end());
    archive.resize(archive.size() + tar_padding(content.size()));
}

}  // namespace

bool store_config_archive(Repository& repository, const BackupRequest& request,
                          const Writer& writer, BackupHost& host) {
    Bytes archive;
    for (const std::string& path : outside_files(request)) {
        try {
            append_file(archive, path);
        } catch (const Error& error) {
            host.warning(Error(
                error.code, "configuration file \"" + path + "\" is not in the backup",
                error.message + ".", "Keep a copy of it elsewhere; a restored cluster needs it."));
        }
    }
    if (archive.empty())
        return false;
    const Bytes end = tar_end();
    archive.insert(archive.end(), end.begin(), end.end());
    store_object(repository.store(), request.cluster, ObjectKind::config, place::config(request.id),
                 archive, writer, request.compression_level);
    return true;
}

}  // namespace ark
