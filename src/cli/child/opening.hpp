#pragma once

#include <climits>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cli/child/channel.hpp"
#include "core/base/error.hpp"
#include "core/repo/key_source.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// What every role is told before its work: docs/child-protocol.md "Opening".
struct ClusterInfo {
    uint64_t system_identifier = 0;
    uint32_t pg_version_num = 0;
    std::string pg_version;
    std::string data_directory;
    uint64_t wal_segment_size = 0;
};

struct Opening {
    ClusterInfo cluster;
    std::map<std::string, std::string> settings;
    std::unique_ptr<Repository> repository;
    /// Why the key can't be had. Where `open` came with without_key and encryption is on: nothing
    /// of the cluster may be read or written then.
    std::optional<Error> key_error;

    /// The cluster's directory in the repository: the setting, else the system identifier.
    std::string cluster_name() const;
    std::string setting(const std::string& name, const std::string& missing) const;
    /// Whether what is written shall be encrypted.
    bool encrypts() const;
    /// Where the encryption key comes from, by the settings.
    KeySource key_source() const;
    /// Error: invalid_argument for something that is not a number.
    int setting_number(const std::string& name, int missing) const;
};

/// Speaks the opening up to `opened`. When opening the repository fails the error is sent, and
/// another `open` waited for: so that the archiver's child outlives a store that is away. nullopt
/// when the other side goes.
///
/// Memory is limited to memory_limit_mb, but never below what holding `segments_in_memory` whole
/// WAL segments takes: archiving must not depend on that setting's size.
///
/// The repository has the cluster's vault, as the settings say: what can't be encrypted although it
/// shall be is an error, and no repository is opened; unless `open` says without_key, for who wants
/// to know what is wrong.
///
/// An operation on the store is tried again for `most_retry_seconds` at most, where the setting
/// says more.
///
/// `other` answers what needs no repository and may come instead of `open`; false: not known to it.
std::optional<Opening> open_conversation(Channel& channel, uint64_t segments_in_memory = 0,
                                         const std::function<bool(const Message&)>& other = nullptr,
                                         int most_retry_seconds = INT_MAX);

}  // namespace ark
