#include "core/verify/wal.hpp"

#include <algorithm>
#include <set>

#include "core/archive/wal_source.hpp"
#include "core/pgdata/wal_reader.hpp"
#include "core/pgdata/wal_segment.hpp"
#include "core/repo/stored_segments.hpp"
#include "core/verify/timelines.hpp"

namespace ark {

namespace {

// Segments that a server may have stored before an earlier one (archive/push_ahead.hpp), and some.
constexpr uint64_t kStoredAhead = 80;

}  // namespace

class WalCheck::Walk {
 public:
    Walk(VerifyContext& context, Patience& patience, TimelineHistory way)
        : context_(context),
          patience_(patience),
          backup_(context.backup),
          way_(std::move(way)),
          size_(backup_.wal_segment_size),
          source_(context.repository, backup_.cluster, size_, way_),
          // Names tell the place, and the first page the cluster, whatever backup it is for.
          held_against_(std::to_string(backup_.system_identifier) + "/" + std::to_string(size_)),
          reader_(size_, [this](uint64_t number) { return segment(number); }) {}

    void list() {
        first_ = segment_number_of(backup_.start_lsn, size_);
        needed_ = last_segment_number_before(backup_.stop_lsn, size_);
        listed_ = source_.listed(first_);
        last_ = listed_.empty() ? needed_ : std::max(needed_, *listed_.rbegin());
        // No listing of whole segments shows the newest ones' pieces, nor what the old timeline has
        // of the segment that holds a fork, where nothing was archived yet since a promotion.
        while (!source_.end_inside(last_) && try_read(last_ + 1))
            ++last_;
        look_what_is_fresh();
    }
    // Of what is fresh a neighbour may be read once more.
    uint64_t bytes() const {
        uint64_t segments = 0;
        for (uint64_t n = first_; n <= last_; ++n) {
            const bool reads = !fresh_.contains(n);
            const bool reads_neighbour =
                (n > first_ && !fresh_.contains(n - 1)) || (n < last_ && !fresh_.contains(n + 1));
            segments += reads || reads_neighbour ? 1 : 0;
        }
        return segments * size_;
    }

    void run() {
        uint64_t next = first_;
        bool behind_damage = false;
        while (next <= last_) {
            if (fresh_.contains(next)) {
                skip(next++);
                behind_damage = false;
                continue;
            }
            begin_at(next, behind_damage);
            const std::optional<uint64_t> fresh = read_up_to_fresh(next);
            behind_damage = !fresh;
            next = fresh ? *fresh : handle(reader_.stop());
        }
        if (!recoverable_ && is_consistent_)
            recoverable_ = end_;
    }

    nlohmann::json verified() const {
        nlohmann::json timelines = nlohmann::json::array();
        for (const TimelineId timeline : way_.timelines()) {
            if (timeline >= backup_.timeline)
                timelines.push_back(timeline);
        }
        nlohmann::json out{{"first", name_of(first_)},
                           {"last", name_of(last_)},
                           {"segments", read_},
                           {"segments_fresh", skipped_},
                           {"timelines", timelines}};
        if (recoverable_)
            out["recoverable_to"] = to_text(*recoverable_);
        return out;
    }

 private:
    // Of each segment the object that is read first: where it is not there, whatever serves in its
    // place is read. It has all bytes: where the way leaves a timeline inside a segment, a later
    // one has the segment.
    void look_what_is_fresh() {
        if (context_.freshness == nullptr)
            return;
        for (const TimelineId timeline : way_.timelines()) {
            const uint64_t from = std::max(first_, way_.begin_of(timeline) / size_);
            find_stored_segments(
                context_.repository, {backup_.cluster, timeline, size_, from},
                [&](uint64_t number, const ObjectInfo& object) {
                    if (number > last_)
                        return false;
                    const std::string segment = segment_name({timeline, number}, size_);
                    if (segment == name_of(number))
                        see(number, place::segment(segment), object);
                    return true;
                });
        }
    }

    void see(uint64_t number, const std::string& place, const ObjectInfo& object) {
        context_.freshness->see(place, object);
        stored_bytes_[number] = object.size;
        // The newest one's last record says where recovery ends.
        if (number < last_ && context_.freshness->is_fresh(place, held_against_, from_in(number)))
            fresh_.insert(number);
    }

    // Of the first segment the backup needs the end alone.
    uint64_t from_in(uint64_t number) const {
        return number == first_ ? backup_.start_lsn - first_ * size_ : 0;
    }

    void skip(uint64_t number) {
        context_.freshness->skip(place::segment(name_of(number)), held_against_, from_in(number));
        ++skipped_;
        end_ = (number + 1) * size_;
    }

    // Records reach across segments: the one before a segment that is read is read once more,
    // though it be fresh; and those before it where one record is longer than a segment.
    void begin_at(uint64_t number, bool behind_damage) {
        uint64_t begin = number;
        do {
            if (begin > first_ && !behind_damage)
                --begin;
            reader_.seek(std::max(backup_.start_lsn, begin * size_));
            record_ = reader_.next();
        } while (record_ && !behind_damage && begin > first_ && begin < number &&
                 record_->lsn / size_ > begin);
        good_up_to_ = record_ ? record_->lsn / size_ : number;
    }

    // Reads on to a record that begins in a segment which is fresh, behind this one: then all that
    // lies before it is good, and so is its link to that. nullopt where the reader has stopped.
    std::optional<uint64_t> read_up_to_fresh(uint64_t number) {
        while (record_) {
            const uint64_t at = record_->lsn / size_;
            take_down_up_to(at);
            end_ = record_->end;
            if (at > number && fresh_.contains(at))
                return at;
            record_ = reader_.next();
            // A record may end in a segment of which nothing follows.
            if (!record_)
                take_down_up_to(end_ / size_);
        }
        return std::nullopt;
    }

    // Segments in which all records were read, those that reach into the next one too.
    void take_down_up_to(uint64_t number) {
        for (; good_up_to_ < number; ++good_up_to_) {
            if (context_.freshness != nullptr && stored_bytes_.contains(good_up_to_))
                context_.freshness->found_whole(place::segment(name_of(good_up_to_)), held_against_,
                                                from_in(good_up_to_));
        }
    }

    // A segment in which the way changes timelines has the name of the later one.
    std::string name_of(uint64_t number) const {
        return segment_name({way_.timeline_at((number + 1) * size_ - 1), number}, size_);
    }

    bool is_there(const std::string& place) const {
        return context_.repository.store().head(context_.name_of(place)).has_value();
    }

    // A segment that the reader could not be given, since it is damaged.
    struct Unusable {
        uint64_t number = 0;
        std::string place;
        Finding finding;
    };

    struct Source {
        std::string segment;
        std::string place;  ///< of its object, or the directory of its pieces
    };

    // What this segment is read from: the newest timeline's where there is one.
    Source source_of(uint64_t number) const {
        std::vector<TimelineId> timelines = way_.timelines();
        std::ranges::reverse(timelines);
        for (const TimelineId timeline : timelines) {
            const std::string name = segment_name({timeline, number}, size_);
            if (way_.begin_of(timeline) / size_ > number)
                continue;
            if (is_there(place::segment(name)))
                return {name, place::segment(name)};
            if (is_there(place::tail(name, 0)))
                return {name, place::tail_directory(name)};
        }
        return {name_of(number), place::segment(name_of(number))};
    }

    bool try_read(uint64_t number) {
        try {
            return source_.read_segment(number).has_value();
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            return true;  // run reports it
        }
    }

    // For the reader. What is damaged is reported here, what is missing when the reader stops
    // there.
    std::optional<ByteView> segment(uint64_t number) {
        if (number > last_)
            return std::nullopt;
        context_.tick();
        try {
            auto bytes = source_.read_segment(number);
            if (!is_all_there(number, bytes) && may_be_on_its_way(number)) {
                patience_.wait_for([&] {
                    source_.forget(number);
                    bytes = source_.read_segment(number);
                    return is_all_there(number, bytes);
                });
            }
            if (!bytes)
                return std::nullopt;
            check_segment_header(*bytes, name_of(number), {backup_.system_identifier, size_});
            if (number >= next_to_count_) {
                next_to_count_ = number + 1;
                ++read_;
                context_.bytes += size_;
                count(number);
            }
            return bytes;
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            unusable_ = {number, source_of(number).place, finding_of("", error)};
            return std::nullopt;
        }
    }

    void count(uint64_t number) {
        if (context_.freshness == nullptr)
            return;
        const auto stored = stored_bytes_.find(number);
        const auto end = source_.end_inside(number);
        if (stored != stored_bytes_.end()) {
            context_.freshness->count_read(place::segment(name_of(number)), stored->second);
        } else {  // in pieces
            context_.freshness->count_read(place::tail_directory(name_of(number)),
                                           end ? *end - number * size_ : size_);
        }
    }

    // Of the last one the beginning is enough.
    bool is_all_there(uint64_t number, const std::optional<ByteView>& bytes) const {
        return bytes && (number == last_ || !source_.end_inside(number));
    }

    // A backup waits for its own.
    bool may_be_on_its_way(uint64_t number) const {
        return number > needed_ && number + kStoredAhead > last_;
    }

    // Reports why the reader stopped; the segment to go on with.
    uint64_t handle(const WalStop& stop) {
        const uint64_t number = stop.at / size_;
        if (const auto unusable = std::exchange(unusable_, std::nullopt)) {
            report(unusable->place, unusable->finding, unusable->number * size_);
            return unusable->number + 1;
        }
        if (number > last_)
            return number + 1;
        if (ends_with_archive(stop))
            return last_ + 1;
        if (stop.kind == WalStopKind::missing_segment || is_cut_off(stop, number))
            return handle_missing(number, stop.at);
        const Source source = source_of(number);
        Finding finding;
        finding.message = "WAL segment \"" + source.segment + "\" is damaged";
        finding.detail = "At " + to_text(stop.at) + ": " + stop.reason + ".";
        report(source.place, std::move(finding), stop.at);
        return number + 1;
    }

    // The newest WAL may end anywhere behind the backup.
    bool ends_with_archive(const WalStop& stop) {
        const auto end = source_.end_inside(last_);
        return end && (last_ > needed_ || *end >= backup_.stop_lsn) && is_cut_off(stop, last_);
    }

    // Whether the reader stopped because only the beginning of this segment is there: at its end,
    // or at the page or the record that is cut there.
    bool is_cut_off(const WalStop& stop, uint64_t number) {
        const auto end = source_.end_inside(number);
        if (!end || stop.kind == WalStopKind::missing_segment)
            return false;
        if (stop.at >= *end)
            return true;
        if (stop.kind == WalStopKind::bad_record)
            return ends_behind(stop.at, kWalRecordHeader, *end);
        if (stop.kind == WalStopKind::bad_checksum)
            return ends_behind(stop.at, length_at(stop.at), *end);
        return stop.at + page_size_of(number) > *end;
    }

    uint32_t length_at(Lsn record) {
        const auto bytes = source_.read_segment(record / size_);
        return bytes ? load<uint32_t>(*bytes, record % size_) : 0;
    }

    uint64_t page_size_of(uint64_t number) {
        const auto bytes = source_.read_segment(number);
        const auto facts = bytes ? decode_segment_facts(*bytes) : std::nullopt;
        return facts ? facts->page_size : 0;
    }

    // Whether so many bytes of a record, with the headers of the pages between, go past `end`.
    bool ends_behind(Lsn record, uint64_t length, Lsn end) {
        const uint64_t page_size = page_size_of(record / size_);
        Lsn at = record;
        while (page_size > 0 && length > 0 && at <= end) {
            if (at % page_size == 0)
                at += at % size_ == 0 ? kLongPageHeader : kShortPageHeader;
            const uint64_t on_page = std::min(length, page_size - at % page_size);
            at += on_page;
            length -= on_page;
        }
        return at > end;
    }

    uint64_t handle_missing(uint64_t number, Lsn end) {
        const auto behind = listed_.upper_bound(number);
        const uint64_t next = behind == listed_.end() ? last_ + 1 : *behind;
        // The stop segment is needed whether it is listed or not.
        const uint64_t up_to = number <= needed_ ? std::min(next, needed_ + 1) : next;
        Finding finding;
        finding.message = "WAL segment \"" + name_of(number) + "\" is missing";
        if (up_to > number + 1) {
            finding.message = "WAL segments \"" + name_of(number) + "\" to \"" +
                              name_of(up_to - 1) + "\" are missing";
        }
        if (end < backup_.stop_lsn) {
            finding.detail = "The backup needs \"" + backup_.start_segment + "\" to \"" +
                             backup_.stop_segment + "\": it cannot become consistent.";
        } else {
            finding.detail = "Segment \"" + name_of(next) + "\" is there, behind the gap.";
        }
        report(place::segment(name_of(number)), std::move(finding), end);
        return up_to;
    }

    // `at`: the first byte that cannot be read. What lies behind the backup's stop the backup
    // itself does without.
    void report(const std::string& place, Finding finding, Lsn at) {
        const bool is_after = at >= backup_.stop_lsn;
        finding.check = is_after ? kWalAfterBackup : "wal";
        is_consistent_ = is_consistent_ && is_after;
        if (is_consistent_) {
            if (!recoverable_)
                recoverable_ = end_ > backup_.stop_lsn ? std::min(at, end_) : at;
            finding.detail += (finding.detail.empty() ? "" : " ") +
                              std::string(
                                  "The backup itself does not need it: recovery from it "
                                  "is possible up to ") +
                              to_text(*recoverable_) + ", and no further.";
        }
        finding.object = context_.name_of(place);
        finding.hint =
            "If a server or another archive still has the segment, put it into the repository; "
            "take "
            "a full backup now.";
        context_.damage.add(std::move(finding));
    }

    VerifyContext& context_;
    Patience& patience_;
    const BackupMarker& backup_;
    const TimelineHistory way_;
    const uint64_t size_;
    RepositoryWal source_;
    const std::string held_against_;
    WalReader reader_;
    uint64_t first_ = 0;
    uint64_t needed_ = 0;  ///< the last that the backup itself needs
    uint64_t last_ = 0;
    std::set<uint64_t> listed_;
    std::optional<Unusable> unusable_;
    std::set<uint64_t> fresh_;
    std::map<uint64_t, uint64_t> stored_bytes_;  ///< of what the listing shows
    std::optional<WalRecord> record_;            ///< the reader's last
    uint64_t good_up_to_ = 0;                    ///< segments before it are taken down
    uint64_t skipped_ = 0;
    Lsn end_ = 0;                     ///< of the last record that was read, or segment passed over
    bool is_consistent_ = true;       ///< the WAL up to the backup's stop is whole
    std::optional<Lsn> recoverable_;  ///< up to where recovery comes
    uint64_t next_to_count_ = 0;
    uint64_t read_ = 0;
};

WalCheck::WalCheck(VerifyContext& context, Patience& patience)
    : context_(context), patience_(patience) {}
WalCheck::~WalCheck() = default;

uint64_t WalCheck::survey() {
    walk_ = std::make_unique<Walk>(context_, patience_, find_way(context_, patience_));
    walk_->list();
    return walk_->bytes();
}

void WalCheck::run() {
    walk_->run();
}

nlohmann::json WalCheck::verified() const {
    return walk_->verified();
}

}  // namespace ark
