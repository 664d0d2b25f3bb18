#include "core/store/s3/credentials.hpp"

#include <vector>

#include "core/base/environment.hpp"
#include "core/base/error.hpp"
#include "core/store/s3/aws_files.hpp"
#include "core/store/s3/credential_process.hpp"
#include "core/store/s3/token_services.hpp"

namespace ark {

namespace {

using Settings = std::map<std::string, std::string>;

std::string value_of(const Settings& settings, const char* name) {
    const auto found = settings.find(name);
    return found == settings.end() ? "" : found->second;
}

std::string profile_of(const CredentialOptions& options) {
    if (!options.profile.empty())
        return options.profile;
    const std::string named = environment("AWS_PROFILE");
    return named.empty() ? "default" : named;
}

std::optional<S3Credentials> from_environment() {
    S3Credentials found{{environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"),
                         environment("AWS_SESSION_TOKEN")},
                        std::nullopt};
    if (found.key.access_key.empty() || found.key.secret_key.empty())
        return std::nullopt;
    return found;
}

std::optional<S3Credentials> keys_of(const Settings& settings) {
    S3Credentials found{
        {value_of(settings, "aws_access_key_id"), value_of(settings, "aws_secret_access_key"),
         value_of(settings, "aws_session_token")},
        std::nullopt};
    if (found.key.access_key.empty() || found.key.secret_key.empty())
        return std::nullopt;
    return found;
}

// Keys that a profile holds, or that its program writes.
std::optional<S3Credentials> own_keys(const std::string& profile, const Settings& settings) {
    if (auto found = keys_of(settings))
        return found;
    const std::string command = value_of(settings, "credential_process");
    if (command.empty())
        return std::nullopt;
    return process_credentials(command, profile);
}

std::optional<S3Credentials> from_environment_services(const CredentialOptions& options) {
    const std::string token_file = environment("AWS_WEB_IDENTITY_TOKEN_FILE");
    const std::string role = environment("AWS_ROLE_ARN");
    if (!token_file.empty() && !role.empty())
        return assume_role_with_token(role, token_file, environment("AWS_ROLE_SESSION_NAME"),
                                      options);
    if (has_container_service())
        return container_credentials();
    return std::nullopt;
}

[[noreturn]] void throw_endless(const std::string& profile) {
    throw Error(ErrorCode::invalid_argument,
                "AWS profile \"" + profile + "\" takes its role by way of itself");
}

std::optional<S3Credentials> from_profile(const std::string& profile,
                                          const CredentialOptions& options, int depth);

// The identity that takes a profile's role.
SigningKey source_of(const std::string& profile, const Settings& settings,
                     const CredentialOptions& options, int depth) {
    if (depth > 4)
        throw_endless(profile);
    const std::string source = value_of(settings, "source_profile");
    std::optional<S3Credentials> found;
    if (!source.empty()) {
        const Settings of_source = read_aws_profile(source, options.credentials_file);
        // A profile may name itself: then its own keys are meant.
        found = source == profile ? own_keys(profile, settings)
                                  : from_profile(source, options, depth + 1);
    } else if (const std::string kind = value_of(settings, "credential_source");
               kind == "Environment") {
        found = from_environment();
    } else if (kind == "EcsContainer") {
        found = container_credentials();
    } else if (kind == "Ec2InstanceMetadata") {
        found = instance_credentials();
    }
    if (!found) {
        throw Error(ErrorCode::permission_denied,
                    "AWS profile \"" + profile +
                        "\" names a role and no credentials to take it "
                        "with",
                    {}, "Set source_profile or credential_source in that profile.");
    }
    return found->key;
}

std::optional<S3Credentials> from_profile(const std::string& profile,
                                          const CredentialOptions& options, int depth) {
    const Settings settings = read_aws_profile(profile, options.credentials_file);
    const std::string role = value_of(settings, "role_arn");
    const std::string token_file = value_of(settings, "web_identity_token_file");
    if (!role.empty() && !token_file.empty())
        return assume_role_with_token(role, token_file, value_of(settings, "role_session_name"),
                                      options);
    // Reached through another profile that names this one as its source, keys come first.
    if (!role.empty() && (depth == 0 || !keys_of(settings)))
        return assume_role(role, value_of(settings, "external_id"),
                           source_of(profile, settings, options, depth), options);
    return own_keys(profile, settings);
}

}  // namespace

S3Credentials find_credentials(const CredentialOptions& options) {
    const std::string profile = profile_of(options);
    const bool named = !options.profile.empty() || !options.credentials_file.empty();
    if (!named) {
        if (auto found = from_environment())
            return *found;
    }
    if (auto found = from_profile(profile, options, 0))
        return *found;
    if (named) {
        throw Error(ErrorCode::permission_denied,
                    "AWS profile \"" + profile + "\" holds no credentials", {},
                    "Check profile= and credentials_file= in the repository's URL.");
    }
    if (auto found = from_environment_services(options))
        return *found;
    std::string why = "The instance's metadata service is switched off.";
    if (environment("AWS_EC2_METADATA_DISABLED") != "true") {
        try {
            return instance_credentials();
        } catch (const Error& error) {
            why = "The instance's metadata service: " + error.message + ".";
        }
    }
    throw Error(ErrorCode::permission_denied, "no credentials for object storage were found",
                "Nothing in the environment (AWS_ACCESS_KEY_ID …), in profile \"" + profile +
                    "\" of the AWS files, by web identity, from a container. " + why,
                "A server takes them from a file: credentials_file=/path in the repository's URL; "
                "see docs/object-storage.md.");
}

std::string find_region(const CredentialOptions& options) {
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
        if (std::string region = environment(name); !region.empty())
            return region;
    }
    return value_of(read_aws_profile(profile_of(options), options.credentials_file), "region");
}

}  // namespace ark
