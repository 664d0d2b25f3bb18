#include "core/store/store_check.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/http/failure.hpp"
#include "core/store/create_race.hpp"
#include "core/store/name.hpp"
#include "core/store/store_speed.hpp"

namespace ark {

namespace {

constexpr int kRacers = 4;
constexpr int kRounds = 3;
// Amazon, Azure and Google refuse a signature whose time is further off than this.
constexpr int64_t kSkewRefused = 15 * 60;
constexpr int64_t kSkewNoticed = 60;

constexpr const char* kGrant = "Give it to the credentials that the repository is used with.";
constexpr const char* kOneWriter =
    "Such a store does not tell apart two clusters that write to one place by mistake: use another "
    "one, or see to it yourself and say create_if_absent=off in the repository's URL; WAL is not "
    "streamed then.";
constexpr const char* kNotStreamed =
    "It is archived by segments. Set pg_ark.wal_streaming to off, and do not name pg_ark in "
    "synchronous_standby_names.";
constexpr const char* kLifecycle =
    "Let a lifecycle rule of the bucket remove incomplete multipart uploads.";

std::string text_of(const Error& error) {
    return error.message + "." + (error.detail.empty() ? "" : " " + error.detail);
}

// The store, or the file system, has understood and will not: not a certificate that is no good.
bool is_denied(const Error& error) {
    if (const auto* failure = dynamic_cast<const HttpFailure*>(&error))
        return failure->failure == Failure::access_denied;
    return error.code == ErrorCode::permission_denied;
}

class Checker {
 public:
    Checker(ObjectStore& store, std::string directory, const FindingSink& tell)
        : store_(store), tell_(tell), directory_(std::move(directory)) {}

    StoreCheck run() {
        const bool put = attempt("right_put", CheckLevel::error, kGrant, [&] {
            create(small_, as_bytes(kContent));
            return "objects can be put";
        });
        out_.is_writable = put;
        const bool get =
            attempt("right_get", CheckLevel::error, kGrant, [&] { return read_back(); });
        attempt("right_list", CheckLevel::error, kGrant, [&] {
            store_.list(directory_, [](const ObjectInfo&) { return true; });
            return "objects can be listed";
        });
        if (put && get) {
            attempt("create_if_absent", CheckLevel::error, "", [&] { return check_races(); });
            attempt("round_trip", CheckLevel::error, "", [&] { return find_round_trip(); });
            attempt("throughput", CheckLevel::error, "", [&] { return find_throughput(); });
            attempt("right_multipart", CheckLevel::note, kLifecycle,
                    [&] { return check_unfinished(); });
        }
        // What a store that is away has not answered it need not be asked to remove either.
        attempt("right_delete", CheckLevel::note,
                "Without it what failed backups and this check leave stays: remove it by other "
                "means, what is below " +
                    object_directory(directory_) + "/ by a lifecycle rule.",
                [&] { return remove_all(); });
        check_clock();
        return std::move(out_);
    }

 private:
    static constexpr std::string_view kContent = "pg_ark check\n";

    void add(const StoreFinding& finding) {
        out_.worst = std::max(out_.worst, finding.level);
        if (finding.level == CheckLevel::error && out_.trouble.empty())
            out_.trouble = finding.detail;
        tell_(finding);
    }

    // Runs one step, which says what it found; what it throws becomes the finding. `hint`: what to
    // do where the right is missing. False where it did not get through.
    template <typename Step>
    bool attempt(const char* name, CheckLevel where_denied, const std::string& hint, Step step) {
        if (is_away_)
            return false;
        level_ = CheckLevel::good;
        hint_.clear();
        try {
            const std::string detail = step();
            has_answered_ = true;
            add({name, level_, detail, hint_});
            return true;
        } catch (const Error& error) {
            if (error.code == ErrorCode::cancelled)
                throw;
            is_away_ = error.retryable;
            if (is_denied(error)) {
                has_answered_ = true;
                add({name, where_denied, "the right is missing: " + text_of(error), hint});
            } else {
                add({name, CheckLevel::error, text_of(error), error.hint});
            }
            return false;
        }
    }

    std::string found(CheckLevel level, std::string detail, std::string hint = {}) {
        level_ = level;
        hint_ = std::move(hint);
        return detail;
    }

    void create(const std::string& name, ByteView content) {
        written_.push_back(name);
        store_.put_if_absent(name, content);
    }

    std::string read_back() {
        if (!out_.is_writable) {
            store_.get("ark.json", 1 << 20);
            return "objects can be read";
        }
        const std::optional<Bytes> there = store_.get(small_, kContent.size());
        if (there && std::ranges::equal(*there, as_bytes(kContent)))
            return "objects can be read";
        return found(CheckLevel::error, there ? "an object came back with other bytes than were put"
                                              : "an object that was put is not there");
    }

    std::string check_races() {
        const PutResult again = store_.put_if_absent(small_, as_bytes("another\n"));
        const std::optional<Bytes> there = store_.get(small_, 64);
        if (again == PutResult::created || !there ||
            !std::ranges::equal(*there, as_bytes(kContent))) {
            return found(CheckLevel::error,
                         "the store does not honour create-if-absent: it overwrote an object",
                         kOneWriter);
        }
        for (int round = 1; round <= kRounds; ++round) {
            const std::string name = directory_ + "/race" + std::to_string(round);
            written_.push_back(name);
            const RaceResult race = race_to_create(store_, name, kRacers);
            if (race.winners == 1 && race.is_kept)
                continue;
            const std::string what =
                race.winners == 1 ? "what is there is not what the winner wrote"
                                  : std::to_string(race.winners) + " were told that they had";
            out_.creates_if_absent = !store_.creates_atomically();
            return found(out_.creates_if_absent ? CheckLevel::note : CheckLevel::error,
                         "the store does not create-if-absent atomically: of " +
                             std::to_string(kRacers) + " writers that created one object at once " +
                             what + (out_.creates_if_absent ? "; WAL is not streamed to it" : ""),
                         out_.creates_if_absent ? kNotStreamed : kOneWriter);
        }
        out_.creates_if_absent = true;
        if (!store_.creates_atomically())
            return found(CheckLevel::note,
                         "create_if_absent=off: WAL is not streamed to this place", kNotStreamed);
        return "of " + std::to_string(kRacers) + " writers at once one wins, in " +
               std::to_string(kRounds) + " of " + std::to_string(kRounds) + " rounds";
    }

    std::string find_round_trip() {
        out_.round_trip = measure_round_trip(store_, small_);
        std::array<char, 64> text{};
        std::snprintf(text.data(), text.size(), "%.2f ms, the median of several small reads",
                      *out_.round_trip * 1000);
        return text.data();
    }

    // What is large is not left behind at each check.
    bool may_remove() {
        try {
            store_.remove(small_);
        } catch (const Error& error) {
            if (!is_denied(error))
                throw;
            return false;
        }
        return true;
    }

    std::string find_throughput() {
        if (!may_remove()) {
            is_quick_ = true;  // as far as is known
            return "not measured: what it takes could not be removed afterwards";
        }
        written_.insert(written_.end(), {directory_ + "/speed", directory_ + "/speed-large"});
        const StoreSpeed speed =
            measure_speed(store_, directory_ + "/speed", directory_ + "/speed-large");
        out_.write_rate = speed.write_rate;
        out_.read_rate = speed.read_rate;
        is_quick_ = !speed.is_slow;
        return human_bytes(static_cast<uint64_t>(speed.write_rate)) + "/s written, " +
               human_bytes(static_cast<uint64_t>(speed.read_rate)) + "/s read, by " +
               human_bytes(speed.bytes) + " in one stream";
    }

    // That an object can be made of parts the throughput has shown. Here: that what is given up can
    // be removed, and what a crash leaves be found.
    std::string check_unfinished() {
        if (!is_quick_)
            return found(CheckLevel::note, "not tried: the way to the store is too slow for it");
        give_up_upload(store_, directory_ + "/unfinished");
        store_.remove_temporaries(directory_, std::numeric_limits<UnixMicros>::max());
        return "objects can be put in parts, and unfinished ones be found and removed";
    }

    std::string remove_all() {
        if (!out_.is_writable)
            return found(CheckLevel::note, "not tried: nothing could be put");
        for (const std::string& name : written_)
            store_.remove(name);
        return "objects can be removed";
    }

    void check_clock() {
        if (has_answered_)
            out_.clock_skew = store_.clock_skew();
        if (!out_.clock_skew)
            return;
        const int64_t off = std::abs(*out_.clock_skew);
        const CheckLevel level = off > kSkewRefused   ? CheckLevel::error
                                 : off > kSkewNoticed ? CheckLevel::warning
                                                      : CheckLevel::good;
        add({"clock", level,
             "the store's clock is " + std::to_string(off) + " s " +
                 (*out_.clock_skew < 0 ? "behind" : "ahead"),
             level == CheckLevel::good
                 ? ""
                 : "Set this host's clock; a time service keeps it right. Stores refuse requests "
                   "whose time is a quarter of an hour off."});
    }

    ObjectStore& store_;
    const FindingSink& tell_;
    const std::string directory_;
    const std::string small_ = directory_ + "/small";
    std::vector<std::string> written_;
    CheckLevel level_ = CheckLevel::good;  ///< of the step that runs
    std::string hint_;                     ///< the same
    bool is_quick_ = false;
    bool is_away_ = false;
    bool has_answered_ = false;
    StoreCheck out_;
};

}  // namespace

const char* name_of(CheckLevel level) noexcept {
    constexpr std::array<const char*, 4> kNames{"good", "note", "warning", "error"};
    return kNames[static_cast<size_t>(level)];
}

StoreCheck check_store(ObjectStore& store, const std::string& directory, const FindingSink& tell) {
    return Checker(store, directory, tell).run();
}

}  // namespace ark
