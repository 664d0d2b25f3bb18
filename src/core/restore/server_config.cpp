#include "core/restore/server_config.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <set>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/access_text.hpp"
#include "core/pgdata/config_text.hpp"
#include "core/pipeline/tar_reader.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/plan.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

constexpr uint64_t kConfigArchiveLimit = 256 << 20;
constexpr size_t kConfigFileLimit = 16 << 20;
constexpr const char* kForeignDirectory = "/pg_ark_config";

std::string normal(const std::string& path) {
    std::string out = std::filesystem::path(path).lexically_normal().string();
    while (out.size() > 1 && out.back() == '/')
        out.pop_back();
    return out;
}

std::string lookup(const std::map<std::string, std::string>& files, const std::string& kind) {
    const auto found = files.find(kind);
    return found == files.end() ? std::string() : normal(found->second);
}

// Of a path that an include names, as the server resolves it: against the including file's
// directory.
std::string resolve(const std::string& value, const std::string& including_file) {
    return normal(value.starts_with('/') ? value : parent_directory(including_file) + "/" + value);
}

std::string relative_to(const std::string& path, const std::string& file) {
    return std::filesystem::path(path).lexically_relative(parent_directory(file)).string();
}

class Rewriter {
 public:
    Rewriter(const std::string& source_path, const ConfigPlaces& places,
             const std::function<bool(const std::string&)>& is_there,
             std::vector<std::string>& warnings, ConfigRewrite& out,
             std::string (*quote)(std::string_view) = quote_config_value)
        : source_(source_path),
          place_(places.place_of(source_path)),
          places_(places),
          is_there_(is_there),
          warnings_(warnings),
          out_(out),
          quote_(quote) {}

    std::optional<std::string> operator()(const ConfigLine& parsed, std::string_view line) {
        if (parsed.name == "data_directory" || parsed.name == "external_pid_file") {
            return commented_out(line, "it belongs to the cluster that was backed up");
        }
        if (parsed.name == "hba_file")
            return side_file(parsed, line, "pg_hba.conf");
        if (parsed.name == "ident_file")
            return side_file(parsed, line, "pg_ident.conf");
        return of_include(parsed, line);
    }

    std::optional<std::string> of_include(const ConfigLine& parsed, std::string_view line) {
        if (parsed.name == "include_dir")
            return include_directory(parsed, line);
        if (parsed.name == "include")
            return include(parsed, line, true);
        if (parsed.name == "include_if_exists")
            return include(parsed, line, false);
        return std::nullopt;
    }

 private:
    // hba_file and ident_file: the default of the new data directory where that is the place.
    std::optional<std::string> side_file(const ConfigLine& parsed, std::string_view line,
                                         const char* default_name) const {
        if (!parsed.value.starts_with('/'))
            return std::nullopt;
        const std::string place = places_.place_of(parsed.value);
        const std::string standard = places_.data_directory() + "/" + default_name;
        if (place == standard) {
            return commented_out(line, std::string(default_name) + " is in the data directory now");
        }
        return parsed.name + " = " + quote_config_value(place) + "  # moved by pg_ark restore";
    }

    std::optional<std::string> repointed(const ConfigLine& parsed,
                                         const std::string& target_place) {
        const std::string value = relative_to(target_place, place_);
        if (value == parsed.value)
            return std::nullopt;
        return parsed.name + " " + quote_(value) + "  # moved by pg_ark restore";
    }

    std::optional<std::string> include(const ConfigLine& parsed, std::string_view line,
                                       bool required) {
        const std::string target = resolve(parsed.value, source_);
        const std::string target_place = places_.place_of(target);
        if (is_there_(target_place)) {
            out_.included.push_back(target);
        } else if (required) {
            warnings_.push_back("configuration file \"" + target + "\", included by \"" + source_ +
                                "\", is not in the backup: the include was commented out");
            return commented_out(line, "the backup does not have this file");
        }
        return repointed(parsed, target_place);
    }

    std::optional<std::string> include_directory(const ConfigLine& parsed,
                                                 std::string_view /*line*/) {
        const std::string target = resolve(parsed.value, source_);
        out_.included_directories.push_back(target);
        return repointed(parsed, places_.place_of(target));
    }

    const std::string source_;
    const std::string place_;
    const ConfigPlaces& places_;
    const std::function<bool(const std::string&)>& is_there_;
    std::vector<std::string>& warnings_;
    ConfigRewrite& out_;
    std::string (*const quote_)(std::string_view);
};

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

void write_config(const std::string& path, ByteView content) {
    make_directories(parent_directory(path), 0700);
    File file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    file.write_all(content);
}

// A file of the data directory that the source did not use, since it had another one in its role.
std::string move_unused(const std::string& target, const std::string& source_path) {
    const std::string unused = target + ".unused";
    std::filesystem::rename(target, unused);
    return "\"" + target + "\" is the /" + source_path +
           " of the source; the file that lay in its data directory is \"" + unused + "\" now";
}

void unpack_archive(Repository& repository, const BackupMarker& backup, const ConfigPlaces& places,
                    std::vector<std::string>& notices) {
    const std::string place = place::config(backup.backup_id);
    const std::string name = backup.cluster + "/" + place;
    const auto stored = repository.store().get(name, kConfigArchiveLimit);
    if (!stored)
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" does not exist");
    const Bytes archive = open_object(*stored, ObjectKind::config, place, kConfigArchiveLimit,
                                      vault_of(repository.store(), backup.cluster).get());
    std::set<std::string> added;  // names in the data directory
    for (const TarMember& member : read_tar(archive, name)) {
        if (member.is_directory)
            continue;
        const std::string target = places.place_of("/" + member.path);
        if (exists(target))
            notices.push_back(move_unused(target, member.path));
        write_config(target, member.content);
        const std::string inside = target.substr(places.data_directory().size() + 1);
        added.insert(inside.substr(0, inside.find('/')));
    }
    std::string options;
    for (const std::string& file : added)
        options += " -i " + shell_word(file);
    notices.push_back(
        "configuration that was kept outside the data directory is in it now; to check the "
        "directory "
        "before the first start: pg_verifybackup -n" +
        options + " " + shell_word(places.data_directory()));
}

using RewriteFunction = decltype(rewrite_config);

// Follows the includes from this file on and rewrites what has to change.
// Returns the places of the files that count.
std::vector<std::string> rewrite_all(const std::string& first, RewriteFunction& rewrite_one,
                                     const ConfigPlaces& places,
                                     std::vector<std::string>& warnings) {
    std::vector<std::string> files;
    std::deque<std::string> queue{first};
    std::set<std::string> seen;
    while (!queue.empty()) {
        const std::string source = queue.front();
        queue.pop_front();
        if (!seen.insert(source).second)
            continue;
        const std::string place = places.place_of(source);
        files.push_back(place);
        const Bytes content = read_file(place, kConfigFileLimit);
        const ConfigRewrite rewrite =
            rewrite_one(as_text(content), source, places, exists, warnings);
        if (rewrite.text != as_text(content))
            write_config(place, as_bytes(rewrite.text));
        queue.insert(queue.end(), rewrite.included.begin(), rewrite.included.end());
        for (const std::string& directory : rewrite.included_directories) {
            const std::string directory_place = places.place_of(directory);
            make_directories(directory_place, 0700);
            for (const std::string& name : names_in_directory(directory_place)) {
                if (name.ends_with(".conf") && !name.starts_with('.')) {
                    queue.push_back(join_path(directory, name));
                }
            }
        }
    }
    return files;
}

}  // namespace

ConfigPlaces::ConfigPlaces(const BackupMarker& backup, std::string data_directory)
    : directory_(std::move(data_directory)),
      source_directory_(normal(backup.data_directory)),
      main_(lookup(backup.config_files, "config_file")),
      hba_(lookup(backup.config_files, "hba_file")),
      ident_(lookup(backup.config_files, "ident_file")) {
    if (main_.empty())
        main_ = source_directory_ + "/postgresql.conf";
    main_directory_ = parent_directory(main_);
}

std::string ConfigPlaces::place_of(const std::string& source_path) const {
    const std::string path = normal(source_path);
    if (is_inside(path, source_directory_)) {
        return directory_ + path.substr(source_directory_.size());
    }
    if (path == main_)
        return directory_ + "/postgresql.conf";
    if (path == hba_)
        return directory_ + "/pg_hba.conf";
    if (path == ident_)
        return directory_ + "/pg_ident.conf";
    if (main_directory_ != "/" && is_inside(path, main_directory_)) {
        return directory_ + path.substr(main_directory_.size());
    }
    return directory_ + kForeignDirectory + path;
}

ConfigRewrite rewrite_config(std::string_view text, const std::string& source_path,
                             const ConfigPlaces& places,
                             const std::function<bool(const std::string&)>& is_there,
                             std::vector<std::string>& warnings) {
    ConfigRewrite out;
    Rewriter rewriter(source_path, places, is_there, warnings, out);
    out.text = edit_config(text, [&](const ConfigLine& parsed, std::string_view line) {
        return rewriter(parsed, line);
    });
    return out;
}

ConfigRewrite rewrite_access(std::string_view text, const std::string& source_path,
                             const ConfigPlaces& places,
                             const std::function<bool(const std::string&)>& is_there,
                             std::vector<std::string>& warnings) {
    ConfigRewrite out;
    Rewriter rewriter(source_path, places, is_there, warnings, out, quote_access_word);
    out.text = edit_lines(text, [&](std::string_view line) -> std::optional<std::string> {
        const auto include = parse_access_include(line);
        return include ? rewriter.of_include({include->kind, include->target}, line) : std::nullopt;
    });
    return out;
}

std::vector<std::string> restore_configuration(Repository& repository, const BackupMarker& backup,
                                               const std::string& data_directory,
                                               std::vector<std::string>& notices,
                                               std::vector<std::string>& warnings) {
    const ConfigPlaces places(backup, data_directory);
    if (backup.has_config_archive)
        unpack_archive(repository, backup, places, notices);
    for (const char* name : {"postgresql.conf", "pg_hba.conf", "pg_ident.conf"}) {
        if (!exists(join_path(data_directory, name))) {
            warnings.push_back("\"" + data_directory + "\" has no " + name +
                               ": the backup does not hold one. Put one there before you start the "
                               "server");
        }
    }
    const std::string main = places.place_of(places.main_source());
    std::vector<std::string> files;
    if (exists(main))
        files = rewrite_all(places.main_source(), rewrite_config, places, warnings);
    for (const auto& [kind, source] : backup.config_files) {
        if (kind != "config_file" && source.starts_with('/') && exists(places.place_of(source)))
            rewrite_all(source, rewrite_access, places, warnings);
    }
    if (main != data_directory + "/postgresql.conf") {
        notices.push_back("the source's main configuration file is \"" + main +
                          "\": start the server with -c config_file=" + shell_word(main));
    }
    return files;
}

}  // namespace ark
