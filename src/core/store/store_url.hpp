#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ark {

/// A repository's URL in parts: scheme://bucket/prefix?name=value&…
struct StoreUrl {
    std::string text;    ///< as it was given; holds no secret
    std::string scheme;  ///< "s3", "gs", "azure"
    std::string bucket;  ///< bucket or container
    std::string prefix;  ///< without slashes at its ends; may be empty
    std::map<std::string, std::string> options;

    std::string option(const std::string& name, const std::string& otherwise = {}) const;
    /// on/off, true/false, yes/no, 1/0. Error: invalid_argument.
    bool flag(const std::string& name, bool otherwise) const;
    /// The name of an object in the bucket.
    std::string key_of(std::string_view name) const;
    /// What the keys of all objects below this name begin with, the slash included; empty for the
    /// whole bucket.
    std::string directory_key(std::string_view name) const;
    /// The inverse of key_of. nullopt for a name that is none of ours: others may have put things
    /// beside them, a console its empty "directories".
    std::optional<std::string> name_of(std::string_view key) const;
};

/// Error: invalid_argument, which does not repeat what may be a secret: user and password before
/// the host, the value of an option that is not known.
StoreUrl parse_store_url(const std::string& text, const std::vector<std::string>& known_options);

}  // namespace ark
