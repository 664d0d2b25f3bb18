#include "core/backup/config_archive.hpp"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>

#include "core/base/file.hpp"
#include "core/pgdata/access_text.hpp"
#include "core/pgdata/config_text.hpp"
#include "core/pipeline/tar_writer.hpp"

namespace ark {

namespace {

constexpr size_t kConfigFileLimit = 16 << 20;

std::string normal(const std::string& path) {
    return std::filesystem::path(path).lexically_normal().string();
}

// A name in a configuration file: relative to that file's directory.
std::string resolved(const std::string& name, const std::string& path) {
    return name.starts_with('/') ? name : parent_directory(path) + "/" + name;
}

// Whether the copy of the data directory lacks this file: it lies elsewhere, or the way to it leads
// over a symbolic link, which no backup follows.
bool is_kept_outside(const std::string& path, const std::string& data_directory) {
    const std::string inside = normal(data_directory + "/");
    if (!normal(path).starts_with(inside))
        return true;
    std::error_code failed;
    const auto really = std::filesystem::canonical(path, failed);
    if (failed)
        return std::filesystem::is_symlink(path, failed);  // a dead link: the warning will say so
    const auto root = std::filesystem::canonical(data_directory, failed);
    return !failed && really != root / normal(path).substr(inside.size());
}

// The configuration files that are not in the packs.
class OutsideFiles {
 public:
    explicit OutsideFiles(const BackupRequest& request) : request_(request) {
        for (const auto& [kind, path] : request.config_files) {
            add(path);
            if (kind == "config_file")
                add_includes(path);
            if (kind == "hba_file" || kind == "ident_file")
                add_access_files(path);
        }
        for (const std::string& path : request.config_includes)
            add(path);
        const std::string changes = request.data_directory + "/postgresql.auto.conf";
        std::error_code absent;
        if (std::filesystem::is_symlink(changes, absent))
            add(changes);
    }
    const std::set<std::string>& paths() const { return paths_; }

 private:
    void add(const std::string& path) {
        if (path.starts_with('/') && is_kept_outside(path, request_.data_directory))
            paths_.insert(path);
    }

    // What the server does not list: a file that sets nothing but includes others
    // (pg_file_settings has the settings' files alone), and one with nothing in it.
    void add_includes(const std::string& path) {
        if (!path.starts_with('/') || !seen_.insert(path).second)
            return;
        try {
            const Bytes text = read_file(path, kConfigFileLimit);
            for (const std::string& included : included_config_files(as_text(text), path)) {
                add(included);
                add_includes(included);
            }
        } catch (const Error&) {
            return;  // as below
        }
    }

    // What a pg_hba.conf or pg_ident.conf includes, by "@name" or by a line of its own, and what
    // those include.
    void add_access_files(const std::string& path) {
        if (!seen_.insert(path).second)
            return;
        try {
            const Bytes text = read_file(path, kConfigFileLimit);
            std::vector<std::string> files = included_access_files(as_text(text), path);
            for (const std::string& name : included_name_lists(as_text(text)))
                files.push_back(resolved(name, path));
            for (const std::string& file : files) {
                add(file);
                add_access_files(file);
            }
        } catch (const Error&) {
            // Where it is kept outside, append_file fails too, and there it is told.
            return;
        }
    }

    const BackupRequest& request_;
    std::set<std::string> paths_;
    std::set<std::string> seen_;
};

void append_file(Bytes& archive, const std::string& path) {
    // O_NONBLOCK: a FIFO of that name must not hang the backup.
    const File file = File::open(path, O_RDONLY | O_NONBLOCK);
    const struct stat st = file.stat();
    if (!S_ISREG(st.st_mode))
        throw Error(ErrorCode::unsupported, "\"" + path + "\" is not a regular file");
    const Bytes content = read_file(path, kConfigFileLimit);
    const Bytes header =
        tar_file_header(path.substr(1), content.size(), st.st_mode & 07777, st.st_mtim.tv_sec);
    archive.insert(archive.end(), header.begin(), header.end());
    archive.insert(archive.end(), content.begin(), content.end());
    archive.resize(archive.size() + tar_padding(content.size()));
}

std::vector<std::string> files_of_include_directory(const std::string& directory) {
    std::vector<std::string> out;
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator(directory, failed)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".conf") && !name.starts_with('.') && !entry.is_directory(failed))
            out.push_back(directory + "/" + name);
    }
    return out;
}

void add_included(std::vector<std::string>& out, std::string_view kind, const std::string& target) {
    std::error_code failed;
    if (kind == "include" ||
        (kind == "include_if_exists" && std::filesystem::exists(target, failed))) {
        out.push_back(target);
    } else if (kind == "include_dir") {
        std::ranges::copy(files_of_include_directory(target), std::back_inserter(out));
    }
}

}  // namespace

// As ParseConfigFp does (src/backend/utils/misc/guc-file.l): names are relative to the file that
// has them, and of a directory the server takes what ends in .conf and does not begin with a dot.
std::vector<std::string> included_config_files(std::string_view text, const std::string& path) {
    std::vector<std::string> out;
    edit_config(text, [&](const ConfigLine& line, std::string_view) -> std::optional<std::string> {
        add_included(out, line.name, normal(resolved(line.value, path)));
        return std::nullopt;
    });
    return out;
}

// As tokenize_auth_file does (src/backend/libpq/hba.c).
std::vector<std::string> included_access_files(std::string_view text, const std::string& path) {
    std::vector<std::string> out;
    edit_lines(text, [&](std::string_view line) -> std::optional<std::string> {
        if (const auto include = parse_access_include(line))
            add_included(out, include->kind, normal(resolved(include->target, path)));
        return std::nullopt;
    });
    return out;
}

// As the server takes these files apart (next_token in src/backend/libpq/hba.c): words end at
// blanks and commas, quotes keep those together, # begins a comment; a word whose @ is not quoted
// names a file.
std::vector<std::string> included_name_lists(std::string_view text) {
    std::vector<std::string> out;
    std::string word;
    bool quoted = false;
    bool begins_quoted = false;
    bool comment = false;
    const auto end_word = [&] {
        if (word.size() > 1 && word[0] == '@' && !begins_quoted)
            out.push_back(word.substr(1));
        word.clear();
        begins_quoted = false;
    };
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (text.substr(i, 2) == "\\\n") {
            ++i;  // the line goes on in the next
        } else if (c == '\n') {
            end_word();
            quoted = comment = false;
        } else if (comment) {
            continue;
        } else if (c == '"') {
            begins_quoted = begins_quoted || word.empty();
            quoted = !quoted;
        } else if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == ',')) {
            end_word();
        } else if (!quoted && c == '#') {
            end_word();
            comment = true;
        } else {
            word += c;
        }
    }
    end_word();
    return out;
}

bool leads_to_configuration(const BackupRequest& request, const std::string& path) {
    const OutsideFiles outside(request);
    const std::string whole = normal(request.data_directory + "/" + path);
    return std::ranges::any_of(outside.paths(), [&](const std::string& file) {
        return normal(file) == whole || normal(file).starts_with(whole + "/");
    });
}

bool store_config_archive(Repository& repository, const BackupRequest& request,
                          const Writer& writer, BackupHost& host) {
    Bytes archive;
    const OutsideFiles outside(request);
    for (const std::string& path : outside.paths()) {
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
