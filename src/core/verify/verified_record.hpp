#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// An object that a verification read and found good, as a listing showed it before it was read.
struct VerifiedObject {
    std::string place;
    uint64_t size = 0;
    UnixMicros modified = 0;   ///< by the store's clock; 0: it does not say
    std::string held_against;  ///< what it was found to fit (Freshness)
    uint64_t from = 0;         ///< of a segment: records before this byte were not looked at
    UnixMicros at = 0;         ///< when the verification began, by the clock of its host
    UnixMicros stored = 0;     ///< when that was written down, by the store's clock
};

/// An object of kind "verified": what a verification found good, or what was found damaged. Never
/// changed; docs/repository-format.md "Records of what was verified".
struct VerifiedRecord {
    UnixMicros at = 0;  ///< when it was written, by the clock of its host
    std::vector<VerifiedObject> good;
    std::vector<std::string> damaged;  ///< places
};

/// As much as one record holds.
constexpr size_t kMaxRecordEntries = 50000;

Bytes encode_record(const VerifiedRecord& record, const std::string& cluster);
/// Error: corrupt.
VerifiedRecord decode_record(ByteView plaintext, const std::string& name,
                             const std::string& cluster);

/// Stores it under a name of its own; returns that. Encrypted as the cluster's other objects.
std::string store_record(Repository& repository, const std::string& cluster,
                         const VerifiedRecord& record);

/// A record that a listing showed. Good entries without a time of their own get the record's
/// `modified`. Error: not_found where it is gone; corrupt; invalid_key for one that is encrypted
/// under a key that is not there; refused for one that is not encrypted although the cluster has
/// keys: anybody could have written it.
VerifiedRecord load_record(Repository& repository, const std::string& cluster,
                           const ObjectInfo& listed);

}  // namespace ark
