#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/verify/verified_record.hpp"

namespace ark {

/// A verification is trusted for so long at most, and records of it are kept for as long.
constexpr int64_t kLongestFreshness = 30LL * 24 * 3600;
constexpr int64_t kDefaultFreshness = 7LL * 24 * 3600;

/// What need not be read again, since a verification has read it a short while ago: what earlier
/// ones left in the repository, and what this one will leave. One thread.
///
/// An object is fresh where a listing shows it with the size and the time that it had when it was
/// read and found good; where it was held against the same (`held_against`: an identity of the
/// backup's marker, of the cluster for WAL); where that is no longer ago than `seconds`, neither by
/// the clocks of those who verify nor by the store's; and where nobody has found it damaged since.
/// What lies in the future is not trusted, so that a clock that is wrong makes nothing fresh for
/// longer than it should be.
class Freshness {
 public:
    /// 0: nothing is fresh. Reads the records. Error: what the store throws; damaged records are
    /// passed over.
    Freshness(Repository& repository, std::string cluster, int64_t seconds);

    /// Lists what is below this place.
    void see_all(const std::string& directory);
    void see(const std::string& place, const ObjectInfo& listed);

    bool is_fresh(const std::string& place, const std::string& held_against,
                  uint64_t from = 0) const;
    /// It is fresh, and will not be read.
    void skip(const std::string& place, const std::string& held_against, uint64_t from = 0);
    /// It is read, as a whole. Where it is not among what was found damaged at the end, it is good.
    void read(const std::string& place, const std::string& held_against, uint64_t from = 0);
    /// The same in two steps: it was fetched (so many bytes); and there was nothing wrong with it.
    void count_read(const std::string& place, uint64_t bytes) { read_places_[place] = bytes; }
    void found_whole(const std::string& place, const std::string& held_against, uint64_t from);
    /// It was not read so far that anybody could trust it.
    void is_unsettled(const std::string& place) { unsettled_.insert(place); }

    /// Writes down what this verification, which began at `began`, has found. Returns a sentence
    /// where it could not. `damaged`: places.
    std::string save(UnixMicros began, const std::set<std::string>& damaged);

    /// {objects_read, bytes_read, objects_fresh, bytes_fresh, oldest_verification}.
    nlohmann::json told() const;

 private:
    void load();
    void take(const VerifiedRecord& record);
    void revoke(const VerifiedRecord& record, UnixMicros modified);
    const VerifiedObject* known(const std::string& place, const std::string& held_against,
                                uint64_t from) const;
    bool is_trusted(const VerifiedObject& object, int64_t seconds) const;
    void save_damage(const std::set<std::string>& damaged);
    void save_good(UnixMicros began, const std::set<std::string>& damaged);
    std::vector<VerifiedObject> found_good(UnixMicros began,
                                           const std::set<std::string>& damaged) const;
    void remove_old();

    Repository& repository_;
    const std::string cluster_;
    const int64_t seconds_;
    UnixMicros now_ = 0;        ///< ours
    UnixMicros store_now_ = 0;  ///< the store's

    struct Listed {
        ObjectInfo object;
        bool is_damage = false;
        bool is_loaded = false;
        bool is_future = false;  ///< by what it says itself
    };
    std::vector<Listed> records_;
    std::map<std::string, VerifiedObject> known_;

    struct Seen {
        uint64_t size = 0;
        UnixMicros modified = 0;
    };
    std::map<std::string, Seen> seen_;
    std::map<std::string, VerifiedObject> read_;     ///< by key
    std::map<std::string, uint64_t> read_places_;    ///< with their bytes
    std::map<std::string, VerifiedObject> skipped_;  ///< by place
    std::set<std::string> unsettled_;
};

/// Where a restore test found objects damaged that a verification may call fresh: they are not
/// trusted from here on. Best effort.
void distrust_objects(Repository& repository, const std::string& cluster,
                      const std::set<std::string>& places);

}  // namespace ark
