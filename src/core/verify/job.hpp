#pragma once

#include <cstdint>
#include <string>

#include "core/repo/evidence.hpp"
#include "core/repo/repository.hpp"

namespace ark {

struct VerifyRequest {
    std::string cluster;  ///< its directory in the repository
    std::string backup_id;
    std::string test_id;  ///< empty: one is made
    int jobs = 2;
    /// For WAL that a running server may be storing at this moment, out of order.
    int patience_millis = 10000;
    /// What was read and found good within so many seconds is not read again, as long as a listing
    /// shows it as it was (core/verify/freshness.hpp). 0: everything is read.
    int64_t freshness_seconds = 0;
};

enum class VerifyPhase { marker, packs, files, manifest, wal, done };
const char* name_of(VerifyPhase phase) noexcept;

struct VerifyProgress {
    VerifyPhase phase = VerifyPhase::marker;
    uint64_t bytes = 0;  ///< checked so far, all phases together: packs as they are stored, once
                         ///< for their digests and once for the files in them, and plain WAL
    uint64_t bytes_total = 0;
};

/// Called on the thread that verifies, a few times a second and at each phase. What it throws
/// (cancelled) ends the verification.
class VerifyListener {
 public:
    VerifyListener() = default;
    VerifyListener(const VerifyListener&) = delete;
    VerifyListener& operator=(const VerifyListener&) = delete;
    virtual ~VerifyListener() = default;
    virtual void progress(const VerifyProgress& progress) = 0;
};

/// Reads back every object of the backup: the marker, each pack (its digest, every frame, every
/// file's checksum against the index), the index, the manifest (its digest, its own checksum, and
/// each of its files against the index), the configuration archive; and the WAL from the backup's
/// start to its stop and on to the newest, along the backup's timeline and those that follow it,
/// without a gap, record by record. Of the backups that it builds on, markers and indexes. Where
/// the marker is damaged nothing else can be checked. Damage is a finding, not an Error; memory
/// does not grow with the backup's content.
///
/// Damage of WAL behind the backup's stop is a finding of a kind of its own (kWalAfterBackup): the
/// backup itself is whole, and recovery from it ends there.
///
/// What was read is written down in the repository, so that others need not read it again; of the
/// past (ObjectStore::as_of) everything is read, and nothing written.
///
/// Error: not_found for an unknown backup, unavailable and the like for a store that does not
/// answer: then nothing is known, and no evidence made.
Evidence verify_backup(Repository& repository, const VerifyRequest& request,
                       VerifyListener& listener);

}  // namespace ark
