#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "core/repo/evidence.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"

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
    Findings take();

 private:
    mutable std::mutex mutex_;
    Findings findings_;
    std::map<std::string, uint64_t> counts_;
    std::map<std::string, uint64_t> of_kind_;
};

/// What the parts of a verification share.
struct VerifyContext {
    Repository& repository;
    const BackupMarker& backup;
    int jobs = 2;
    std::function<void()> tick;  ///< on the verifying thread; what it throws ends the verification
    DamageList damage = {};
    std::atomic<uint64_t> bytes = 0;  ///< checked so far, as VerifyProgress has them

    std::string name_of(const std::string& place) const { return backup.cluster + "/" + place; }
};

}  // namespace ark
