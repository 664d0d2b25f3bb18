#include <array>
#include <string>

#include "core/base/error.hpp"
#include "core/store/azure/azure_store.hpp"
#include "core/store/gs/google_store.hpp"
#include "core/store/local.hpp"
#include "core/store/name.hpp"
#include "core/store/object_store.hpp"
#include "core/store/s3/s3_store.hpp"

namespace ark {

namespace {

constexpr const char* kUrlHint =
    "Write a local repository as file:///absolute/path, with %20 for a space, one in object "
    "storage as s3://bucket/prefix, azure://container/prefix or gs://bucket/prefix.";

Error bad_url(const std::string& url, const std::string& why) {
    return {ErrorCode::invalid_argument, "invalid repository URL \"" + url + "\"", why, kUrlHint};
}

std::string decode_percent(const std::string& url, std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i]);
            continue;
        }
        try {
            if (i + 3 > text.size())
                throw bad_url(url, {});
            out += text_from_hex(text.substr(i + 1, 2));
        } catch (const Error&) {
            throw bad_url(url, "A percent sign must be followed by two hexadecimal digits.");
        }
        i += 2;
    }
    return out;
}

// "." and ".." are refused rather than resolved: what they mean depends on symbolic links.
void check_path(const std::string& url, const std::string& path) {
    if (path.find('\0') != std::string::npos)
        throw bad_url(url, "The path holds a NUL byte.");
    if (path.empty() || path[0] != '/')
        throw bad_url(url, "The path must be absolute.");
    if (path == "/")
        throw bad_url(url, "The root of the file system cannot be a repository.");
    for (const std::string& part : split_object_name(path)) {
        if (part == "." || part == "..") {
            throw bad_url(url, "The path must not hold \".\" or \"..\".");
        }
    }
}

std::string path_of_file_url(const std::string& url, std::string_view rest) {
    if (rest.find_first_of("?#") != std::string_view::npos) {
        throw bad_url(url, "A local repository takes no parameters.");
    }
    if (rest.starts_with("localhost/"))
        rest.remove_prefix(std::string_view("localhost").size());
    if (!rest.empty() && rest[0] != '/') {
        throw bad_url(url, "A file URL has no host: three slashes follow the colon.");
    }
    std::string path = decode_percent(url, rest);
    while (path.size() > 1 && path.back() == '/')
        path.pop_back();
    check_path(url, path);
    return path;
}

struct PastRule {
    const char* scheme;
    const char* instead;
};
constexpr std::array<PastRule, 3> kNoPast{{
    {"file", "Where the file system has a snapshot of that time, name the directory in it."},
    {"azure",
     "Let Azure bring the container back to that time (\"az storage blob restore\", where "
     "point-in-time restore is on), or copy the versions of that time into another container and "
     "name that."},
    {"gs",
     "Copy the generations of that time into another bucket (\"gcloud storage ls --all-versions\" "
     "shows them, \"gcloud storage cp\" copies them) and name that."},
}};

void refuse_past(const std::string& scheme) {
    for (const PastRule& rule : kNoPast) {
        if (scheme == rule.scheme)
            throw Error(ErrorCode::unsupported,
                        "--as-of-bucket-time is not supported for " + scheme + "://",
                        "It reads the versions that buckets keep which speak S3.", rule.instead);
    }
}

}  // namespace

std::optional<std::string> local_store_path(const std::string& url) {
    constexpr std::string_view kPrefix = "file://";
    if (!url.starts_with(kPrefix))
        return std::nullopt;
    return path_of_file_url(url, std::string_view(url).substr(kPrefix.size()));
}

std::unique_ptr<ObjectStore> open_store(const std::string& url, const StoreOptions& options) {
    const size_t colon = url.find("://");
    if (colon == std::string::npos)
        throw bad_url(url, "It has no scheme.");
    const std::string scheme = url.substr(0, colon);
    if (options.as_of)
        refuse_past(scheme);
    if (const auto path = local_store_path(url))
        return make_local_store(*path);
    if (scheme == "s3")
        return make_s3_store(url, options);
    if (scheme == "azure")
        return make_azure_store(url, options);
    if (scheme == "gs")
        return make_google_store(url, options);
    throw bad_url(url, "The scheme \"" + scheme + "\" is not known.");
}

}  // namespace ark
