#include "core/verify/freshness.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr int64_t kSecond = 1000000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;

// So many records are read, the newest; and so many make the next writer put them together. Where
// nobody may remove objects there are more of them than are read, and more is read again.
constexpr size_t kMostRecords = 64;
constexpr size_t kManyRecords = 16;
// Some 200 bytes of memory each.
constexpr size_t kMostEntries = 200000;

std::string key_of(const std::string& place, const std::string& held_against, uint64_t from) {
    return place + "\n" + held_against + "\n" + std::to_string(from);
}
std::string key_of(const VerifiedObject& o) {
    return key_of(o.place, o.held_against, o.from);
}

}  // namespace

Freshness::Freshness(Repository& repository, std::string cluster, int64_t seconds)
    : repository_(repository),
      cluster_(std::move(cluster)),
      seconds_(std::min(seconds, kLongestFreshness)),
      now_(now_micros()) {
    load();
}

void Freshness::load() {
    repository_.store().list(cluster_ + "/" + place::kVerified, [&](const ObjectInfo& object) {
        records_.push_back({object, place::is_verified_damage(object.name)});
        return true;
    });
    store_now_ = now_ + repository_.store().clock_skew().value_or(0) * kSecond;
    std::ranges::stable_sort(records_, [](const Listed& a, const Listed& b) {
        return a.object.modified > b.object.modified;
    });
    // What was found damaged is asked of what was found good before.
    std::vector<std::pair<VerifiedRecord, UnixMicros>> damage;
    size_t good = 0;
    for (Listed& listed : records_) {
        if (!listed.is_damage && ++good > kMostRecords)
            continue;
        try {
            VerifiedRecord record = load_record(repository_, cluster_, listed.object);
            listed.is_loaded = true;
            listed.is_future = record.at > now_ + kMinute;
            if (listed.is_damage) {
                damage.emplace_back(std::move(record), listed.object.modified);
            } else {
                take(record);
            }
        } catch (const Error& error) {
            // Whoever cannot read one reads the objects.
            if (error.code != ErrorCode::corrupt && error.code != ErrorCode::not_found &&
                error.code != ErrorCode::unsupported && error.code != ErrorCode::invalid_key &&
                error.code != ErrorCode::refused)
                throw;
        }
    }
    for (const auto& [record, modified] : damage)
        revoke(record, modified);
}

void Freshness::take(const VerifiedRecord& record) {
    for (const VerifiedObject& object : record.good) {
        if (!is_trusted(object, kLongestFreshness) || known_.size() >= kMostEntries)
            continue;
        const auto [found, is_new] = known_.try_emplace(key_of(object), object);
        if (!is_new && found->second.at < object.at)
            found->second = object;
    }
}

// By both clocks it has to be found good after it was found damaged.
void Freshness::revoke(const VerifiedRecord& record, UnixMicros modified) {
    for (const std::string& place : record.damaged) {
        auto next = known_.lower_bound(place + "\n");
        while (next != known_.end() && next->second.place == place) {
            const VerifiedObject& object = next->second;
            const bool is_later = object.at > record.at && object.stored > modified;
            next = is_later ? std::next(next) : known_.erase(next);
        }
    }
}

bool Freshness::is_trusted(const VerifiedObject& object, int64_t seconds) const {
    if (object.at > now_ || now_ - object.at > seconds * kSecond)
        return false;
    // Where the store tells no times there is one clock less to ask.
    return object.stored == 0 ||
           (object.stored <= store_now_ + kHour && store_now_ - object.stored <= seconds * kSecond);
}

void Freshness::see_all(const std::string& directory) {
    repository_.store().list(cluster_ + "/" + directory, [&](const ObjectInfo& object) {
        see(object.name.substr(cluster_.size() + 1), object);
        return true;
    });
}

void Freshness::see(const std::string& place, const ObjectInfo& listed) {
    seen_[place] = {listed.size, listed.modified};
}

const VerifiedObject* Freshness::known(const std::string& place, const std::string& held_against,
                                       uint64_t from) const {
    const auto found = known_.find(key_of(place, held_against, from));
    if (found != known_.end())
        return &found->second;
    // Whoever has looked at all of it has looked at this.
    return from == 0 ? nullptr : known(place, held_against, 0);
}

bool Freshness::is_fresh(const std::string& place, const std::string& held_against,
                         uint64_t from) const {
    const auto seen = seen_.find(place);
    const VerifiedObject* object = known(place, held_against, from);
    return seconds_ > 0 && object != nullptr && seen != seen_.end() &&
           object->size == seen->second.size && object->modified == seen->second.modified &&
           is_trusted(*object, seconds_);
}

void Freshness::skip(const std::string& place, const std::string& held_against, uint64_t from) {
    if (const VerifiedObject* object = known(place, held_against, from))
        skipped_.try_emplace(place, *object);
}

void Freshness::read(const std::string& place, const std::string& held_against, uint64_t from) {
    const auto seen = seen_.find(place);
    count_read(place, seen == seen_.end() ? 0 : seen->second.size);
    found_whole(place, held_against, from);
}

// What the listing did not show nobody can compare with the next one.
void Freshness::found_whole(const std::string& place, const std::string& held_against,
                            uint64_t from) {
    const auto seen = seen_.find(place);
    if (seen == seen_.end())
        return;
    VerifiedObject object;
    object.place = place;
    object.size = seen->second.size;
    object.modified = seen->second.modified;
    object.held_against = held_against;
    object.from = from;
    read_.try_emplace(key_of(object), std::move(object));
}

std::string Freshness::save(UnixMicros began, const std::set<std::string>& damaged) {
    // What reads the past cannot write.
    if (repository_.store().as_of())
        return {};
    try {
        save_damage(damaged);
        save_good(began, damaged);
        remove_old();
    } catch (const Error& error) {
        if (error.code == ErrorCode::cancelled)
            throw;
        return "what was verified could not be written down, so the next verification reads it "
               "again: " +
               error.message;
    }
    return {};
}

// What nobody calls good need not be called damaged.
void Freshness::save_damage(const std::set<std::string>& damaged) {
    VerifiedRecord record;
    for (const std::string& place : damaged) {
        const auto found = known_.lower_bound(place + "\n");
        if (found != known_.end() && found->second.place == place)
            record.damaged.push_back(place);
    }
    if (record.damaged.empty())
        return;
    record.at = now_micros();
    store_record(repository_, cluster_, record);
    std::erase_if(known_, [&](const auto& entry) { return damaged.contains(entry.second.place); });
}

std::vector<VerifiedObject> Freshness::found_good(UnixMicros began,
                                                  const std::set<std::string>& damaged) const {
    std::vector<VerifiedObject> good;
    for (const auto& [key, object] : read_) {
        if (damaged.contains(object.place) || unsettled_.contains(object.place))
            continue;
        good.push_back(object);
        good.back().at = began;
    }
    return good;
}

void Freshness::save_good(UnixMicros began, const std::set<std::string>& damaged) {
    std::vector<VerifiedObject> good = found_good(began, damaged);
    const auto is_superseded = [](const Listed& r) {
        return !r.is_damage && r.is_loaded && !r.is_future;
    };
    const bool merges =
        std::ranges::count_if(records_, is_superseded) >= static_cast<ptrdiff_t>(kManyRecords);
    if (good.empty() && !merges)
        return;
    if (merges) {
        for (const auto& [key, object] : known_) {
            if (!read_.contains(key))
                good.push_back(object);
        }
    }
    VerifiedRecord record;
    record.at = now_micros();
    for (size_t begin = 0; begin < good.size(); begin += kMaxRecordEntries) {
        const size_t end = std::min(good.size(), begin + kMaxRecordEntries);
        record.good.assign(good.begin() + static_cast<ptrdiff_t>(begin),
                           good.begin() + static_cast<ptrdiff_t>(end));
        store_record(repository_, cluster_, record);
    }
    if (!merges)
        return;
    for (const Listed& listed : records_) {
        if (is_superseded(listed))
            repository_.store().remove(listed.object.name);
    }
}

// Those that nobody may trust any more, by the store's own clock alone; and what calls itself of
// the future, before it comes of age.
void Freshness::remove_old() {
    for (const Listed& listed : records_) {
        const bool is_old =
            store_now_ - listed.object.modified > (kLongestFreshness + 24 * 3600) * kSecond;
        if ((listed.object.modified != 0 && is_old) || (listed.is_future && !listed.is_damage))
            repository_.store().remove(listed.object.name);
    }
}

nlohmann::json Freshness::told() const {
    uint64_t read = 0;
    for (const auto& [place, bytes] : read_places_)
        read += bytes;
    uint64_t fresh = 0;
    uint64_t fresh_objects = 0;
    UnixMicros oldest = now_;
    for (const auto& [place, object] : skipped_) {
        if (read_places_.contains(place))
            continue;
        ++fresh_objects;
        fresh += object.size;
        oldest = std::min(oldest, object.at);
    }
    nlohmann::json out{{"objects_read", read_places_.size()},
                       {"bytes_read", read},
                       {"objects_fresh", fresh_objects},
                       {"bytes_fresh", fresh}};
    if (fresh_objects > 0)
        out["oldest_verification"] = to_iso8601(oldest);
    return out;
}

void distrust_objects(Repository& repository, const std::string& cluster,
                      const std::set<std::string>& places) {
    if (places.empty())
        return;
    try {
        Freshness(repository, cluster, 0).save(now_micros(), places);
    } catch (const Error& error) {
        if (error.code == ErrorCode::cancelled)
            throw;
    }
}

}  // namespace ark
