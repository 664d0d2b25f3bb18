#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "core/repo/evidence.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"
#include "core/verify/freshness.hpp"

namespace ark {

/// True for an Error that says something of the object that was asked for; false for one that says
/// that the store, or this host, could not do it.
bool is_damage(const Error& error);

/// Collects findings of several threads. Of each kind (a check, with or without a file) some are
/// kept and all are counted: thousands of damaged files do not hide a missing segment.
class DamageList {
 public:
    void add(Finding finding);
    /// How many there are of this check.
    uint64_t count(const std::string& check) const;
    /// How many there are of all others.
    uint64_t count_but(const std::string& check) const;
    /// Names of the objects that any of them is about.
    std::set<std::string> objects() const;
    Findings take();

 private:
    mutable std::mutex mutex_;
    Findings findings_;
    std::map<std::string, uint64_t> counts_;
    std::map<std::string, uint64_t> of_kind_;
    std::set<std::string> objects_;
};

/// What a finding is of where WAL behind the backup's stop is damaged or missing: the backup itself
/// does without it.
constexpr const char* kWalAfterBackup = "wal_after_backup";

/// What objects of a backup are held against: which marker, and in what state.
std::string identity_of(const BackupMarker& backup);

/// What the parts of a verification share.
struct VerifyContext {
    Repository& repository;
    const BackupMarker& backup;
    int jobs = 2;
    std::function<void()> tick;  ///< on the verifying thread; what it throws ends the verification
    DamageList damage = {};
    std::atomic<uint64_t> bytes = 0;  ///< checked so far, as VerifyProgress has them
    Freshness* freshness = nullptr;   ///< none: everything is read
    std::string identity = {};        ///< of `backup`, where there is `freshness`

    std::string name_of(const std::string& place) const { return backup.cluster + "/" + place; }

    /// Whether an object of the backup need not be read again. On the verifying thread.
    bool is_fresh(const std::string& place) const;
    /// Takes down that it is read, or is not.
    void read(const std::string& place) const;
    void skip(const std::string& place) const;
};

}  // namespace ark
