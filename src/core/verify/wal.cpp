#include "core/verify/wal.hpp"

#include <algorithm>
#include <set>

#include "core/archive/wal_source.hpp"
#include "core/pgdata/wal_reader.hpp"
#include "core/pgdata/wal_segment.hpp"
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
    }
    uint64_t bytes() const { return (last_ - first_ + 1) * size_; }

    void run() {
        uint64_t next = first_;
        while (next <= last_) {
            reader_.seek(std::max(backup_.start_lsn, next * size_));
            while (reader_.next()) {
            }
            next = handle(reader_.stop());
        }
    }

    nlohmann::json verified() const {
        nlohmann::json timelines = nlohmann::json::array();
        for (const TimelineId timeline : way_.timelines()) {
            if (timeline >= backup_.timeline)
                timelines.push_back(timeline);
        }
        return {{"first", name_of(first_)},
                {"last", name_of(last_)},
                {"segments", read_},
                {"timelines", timelines}};
    }

 private:
    // A segment in which the way changes timelines has the name of the later one.
    std::string name_of(uint64_t number) const {
        return segment_name({way_.timeline_at((number + 1) * size_ - 1), number}, size_);
    }

    bool is_there(const std::string& place) const {
        return context_.repository.store().head(context_.name_of(place)).has_value();
    }

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
            }
            return bytes;
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            report(source_of(number).place, finding_of("wal", error));
            reported_ = number;
            return std::nullopt;
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
        if (number > last_ || reported_ == number)
            return number + 1;
        if (ends_with_archive(stop))
            return last_ + 1;
        if (stop.kind == WalStopKind::missing_segment || is_cut_off(stop, number))
            return handle_missing(number, stop.at);
        const Source source = source_of(number);
        Finding finding;
        finding.message = "WAL segment \"" + source.segment + "\" is damaged";
        finding.detail = "At " + to_text(stop.at) + ": " + stop.reason + ".";
        report(source.place, std::move(finding));
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
            return goes_behind(stop.at, *end);
        return stop.at + page_size_of(number) > *end;
    }

    uint64_t page_size_of(uint64_t number) {
        const auto bytes = source_.read_segment(number);
        const auto facts = bytes ? decode_segment_facts(*bytes) : std::nullopt;
        return facts ? facts->page_size : 0;
    }

    // Whether the record that begins here ends behind `end`, as its length says; segments between
    // must agree.
    bool goes_behind(Lsn lsn, Lsn end) {
        const uint64_t page_size = page_size_of(lsn / size_);
        if (page_size == 0)
            return false;
        const auto length = load<uint32_t>(*source_.read_segment(lsn / size_), lsn % size_);
        uint64_t left = std::max<uint64_t>(length, kWalRecordHeader);
        Lsn at = lsn;
        while (left > 0 && at < end) {
            if (at % size_ == 0 && !is_continued(at / size_, left))
                return false;
            if (at % page_size == 0)
                at += at % size_ == 0 ? kLongPageHeader : kShortPageHeader;
            const uint64_t on_page = std::min(left, page_size - at % page_size);
            at += on_page;
            left -= on_page;
        }
        return left > 0 || at > end;
    }

    bool is_continued(uint64_t number, uint64_t remaining) {
        const auto bytes = source_.read_segment(number);
        if (!bytes)
            return false;
        const WalPageHeader header = decode_page_header(*bytes);
        return header.continues() && header.remaining == remaining;
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
        if (number <= needed_) {
            finding.detail = "The backup needs \"" + backup_.start_segment + "\" to \"" +
                             backup_.stop_segment + "\": it cannot become consistent.";
        } else {
            finding.detail = "Segment \"" + name_of(next) + "\" is there: recovery ends at " +
                             to_text(end) + ", before the gap.";
        }
        report(place::segment(name_of(number)), std::move(finding));
        return up_to;
    }

    void report(const std::string& place, Finding finding) {
        finding.check = "wal";
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
    WalReader reader_;
    uint64_t first_ = 0;
    uint64_t needed_ = 0;  ///< the last that the backup itself needs
    uint64_t last_ = 0;
    std::set<uint64_t> listed_;
    std::optional<uint64_t> reported_;  ///< the segment that was reported last
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
