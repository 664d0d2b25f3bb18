#include "core/archive/fetch.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include "core/archive/tail.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/wal_segment.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

constexpr uint64_t kMaxSegmentBytes = 1ULL << 30;
// zstd's worst case adds less than a hundredth.
constexpr uint64_t kMaxStoredBytes = kMaxSegmentBytes + (kMaxSegmentBytes >> 6);
// A line takes about 60 bytes, and there is one for each promotion ever.
constexpr uint64_t kMaxHistoryBytes = 16 << 20;

std::string name_in_store(const FetchContext& context, const std::string& place) {
    return context.cluster + "/" + place;
}

std::optional<Bytes> fetch_object(const FetchContext& context, ObjectKind kind,
                                  const std::string& place) {
    const auto stored =
        context.repository.store().get(name_in_store(context, place), kMaxStoredBytes);
    if (!stored)
        return std::nullopt;
    return open_object(*stored, kind, place, kMaxSegmentBytes,
                       vault_of(context.repository.store(), context.cluster).get());
}

// A .partial that was read and is of this cluster and place.
struct Partial {
    std::string place;
    Bytes bytes;
    uint64_t number = 0;
    Lsn valid_end = 0;
};

// Names of the .partial objects of one segment. Only their contents' hashes tell them apart, so
// there is no way to them but a listing; a segment has seldom more than one.
std::vector<std::string> partial_places(const FetchContext& context, const std::string& segment) {
    const std::string directory = place::segment_directory(segment);
    const std::string prefix = name_in_store(context, directory + "/" + segment + ".partial.");
    const std::string cut = context.cluster + "/";
    std::vector<std::string> places;
    context.repository.store().list(name_in_store(context, directory),
                                    [&](const ObjectInfo& object) {
                                        if (object.name.starts_with(prefix))
                                            places.push_back(object.name.substr(cut.size()));
                                        return object.name.compare(0, prefix.size(), prefix) <= 0;
                                    });
    return places;
}

// Calls `use` for each of them, one in memory at a time besides what `use` keeps. One that is
// damaged is passed over; where nothing could be used its error is what the caller hears.
void for_each_partial(const FetchContext& context, const std::string& segment,
                      const std::function<bool(Partial&&)>& use) {
    std::optional<Error> damage;
    bool used = false;
    for (const std::string& place : partial_places(context, segment)) {
        try {
            std::optional<Bytes> bytes = fetch_object(context, ObjectKind::partial, place);
            if (!bytes)
                continue;
            Partial partial{place, std::move(*bytes), 0, 0};
            partial.number = check_segment_header(partial.bytes, segment + ".partial",
                                                  {context.system_identifier, std::nullopt});
            partial.valid_end = end_of_valid_pages(partial.bytes, partial.number);
            used = use(std::move(partial)) || used;
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)
                throw;
            damage = error;
        }
    }
    if (damage && !used)
        throw Error(*damage);
}

bool same_up_to(const Partial& a, const Partial& b, Lsn end) {
    const size_t length = end - a.number * a.bytes.size();
    return std::ranges::equal(ByteView(a.bytes).first(length), ByteView(b.bytes).first(length));
}

// The complete segment is not there. Only where the way leaves the timeline inside the segment does
// the .partial hold all that is needed of it.
std::optional<Bytes> fetch_partial_up_to(const FetchContext& context, const std::string& name,
                                         Lsn end) {
    std::optional<Partial> chosen;
    for_each_partial(context, name, [&](Partial&& partial) {
        const Lsn begin = partial.number * partial.bytes.size();
        if (end <= begin || end >= begin + partial.bytes.size())
            return false;
        if (partial.valid_end < end)
            return false;
        if (chosen && !same_up_to(*chosen, partial, end)) {
            throw Error(
                ErrorCode::conflict,
                "two objects of the repository disagree on WAL segment \"" + name + "\"",
                "\"" + chosen->place + "\" and \"" + partial.place + "\" differ before " +
                    to_text(end) + ", where timeline " +
                    std::to_string(context.target->timeline()) + " leaves the segment's.",
                "Find out which of them the promoted server replayed, and move the other one "
                "out of the repository.");
        }
        chosen = std::move(partial);
        return true;
    });
    if (!chosen)
        return std::nullopt;
    cut_segment(chosen->bytes, chosen->number, end);
    return std::move(chosen->bytes);
}

// Where the way leaves the timeline; kMaxLsn also for timelines that are not part of it: the server
// looks at those only to choose another target, and then they are what they are.
Lsn end_on_the_way(const FetchContext& context, TimelineId timeline) {
    if (context.target == nullptr || !context.target->contains(timeline))
        return kMaxLsn;
    return context.target->end_of(timeline);
}

// Finds what there is of one segment. Whoever finishes a segment makes the whole of it durable
// before its pieces go, so the whole is looked for on both sides of them.
class SegmentLookup {
 public:
    SegmentLookup(const FetchContext& context, const std::string& name, const WalFileName& file)
        : context_(context),
          name_(name),
          file_(file),
          way_end_(end_on_the_way(context, file.timeline)) {}

    std::optional<FetchedSegment> run() {
        if (auto whole = read_whole())
            return all_of(std::move(*whole));
        std::optional<TailChain> chain = read_chain();
        if (is_enough(chain))
            return all_of(padded(std::move(*chain)));
        if (auto whole = read_whole())
            return all_of(std::move(*whole));
        if (auto partial = read_partial(chain))
            return FetchedSegment{std::move(*partial), way_end_};
        if (chain && (chain->is_torn_apart || is_later_wal_there(*chain)))
            return in_spite_of_later_wal();
        return chain ? beginning_of(std::move(*chain)) : std::nullopt;
    }

 private:
    std::optional<Bytes> read_whole() const {
        return fetch_object(context_, ObjectKind::wal, place::segment(name_));
    }

    // A running server makes up for damaged pieces: it stores the whole segment soon.
    std::optional<TailChain> read_chain() const {
        try {
            return read_tail(context_, name_);
        } catch (Error& error) {
            error.retryable = error.retryable || error.code == ErrorCode::corrupt;
            throw;
        }
    }

    // Only the way's end inside the segment makes a .partial hold all that is needed.
    std::optional<Bytes> read_partial(const std::optional<TailChain>& chain) const {
        if (way_end_ == kMaxLsn)
            return std::nullopt;
        if (chain && chain->segment_size != 0 &&
            (way_end_ <= begin_of(*chain) || way_end_ >= begin_of(*chain) + chain->segment_size))
            return std::nullopt;
        return fetch_partial_up_to(context_, name_, way_end_);
    }

    Lsn begin_of(const TailChain& chain) const {
        return file_.segment_number(chain.segment_size) * chain.segment_size;
    }

    // It has every byte that the way takes from this segment.
    bool is_enough(const std::optional<TailChain>& chain) const {
        return chain && (chain->complete || (chain->segment_size != 0 &&
                                             begin_of(*chain) + chain->bytes.size() >= way_end_));
    }

    static Bytes padded(TailChain&& chain) {
        chain.bytes.resize(chain.segment_size);
        return std::move(chain.bytes);
    }

    std::optional<FetchedSegment> all_of(Bytes&& bytes) const {
        const uint64_t number =
            check_segment_header(bytes, name_, {context_.system_identifier, std::nullopt});
        if (way_end_ <= number * bytes.size())
            return std::nullopt;
        cut_segment(bytes, number, way_end_);
        const bool is_cut = way_end_ < (number + 1) * bytes.size();
        return FetchedSegment{std::move(bytes), is_cut ? std::optional(way_end_) : std::nullopt};
    }

    // What is there says that all of this segment was there before. So it has come since the pieces
    // were read, or it is lost.
    std::optional<FetchedSegment> in_spite_of_later_wal() const {
        std::optional<TailChain> chain = read_chain();
        if (is_enough(chain))
            return all_of(padded(std::move(*chain)));
        if (auto whole = read_whole())
            return all_of(std::move(*whole));
        if (chain && chain->is_torn_apart)
            throw lost_piece(*chain);
        SegmentHole hole(ErrorCode::corrupt,
                         "WAL segment \"" + name_ + "\" is not in the repository as a whole",
                         "There are pieces of its beginning" +
                             (chain && chain->damage
                                  ? ", of which the last is damaged (" + chain->damage->detail + ")"
                                  : std::string()) +
                             ", and WAL that comes after it: recovery must not end here.",
                         "A running server stores it soon. Otherwise put it back; what lies before "
                         "it comes back with --target-lsn.");
        hole.retryable = true;
        throw SegmentHole(hole);
    }

    Error lost_piece(const TailChain& chain) const {
        Error error(
            ErrorCode::corrupt, "a piece of WAL segment \"" + name_ + "\" is missing",
            "There is no object \"" +
                name_in_store(context_,
                              place::tail(name_, static_cast<uint32_t>(chain.bytes.size()))) +
                "\", but there are later pieces of this segment: recovery must not end here.");
        error.retryable = true;
        return error;
    }

    // The segments that follow this one, where the way stays on its timeline.
    std::vector<std::string> following(const TailChain& chain) const {
        const uint64_t size = chain.segment_size;
        if (size == 0 && way_end_ != kMaxLsn)
            return {};
        if (size == 0) {
            // Unless it is the last one of its high part this name is right, whatever the size.
            return {hex8(file_.timeline) + hex8(file_.high) + hex8(file_.low + 1),
                    hex8(file_.timeline) + hex8(file_.high + 1) + hex8(0)};
        }
        if (way_end_ <= begin_of(chain) + size)
            return {};
        const uint64_t next = file_.segment_number(size) + 1;
        std::vector<std::string> names{segment_name({file_.timeline, next}, size)};
        // Where the way leaves the timeline there, a later one has the segment's name.
        if (way_end_ < (next + 1) * size) {
            names.push_back(
                segment_name({context_.target->timeline_at((next + 1) * size - 1), next}, size));
        }
        return names;
    }

    bool is_later_wal_there(const TailChain& chain) const {
        ObjectStore& store = context_.repository.store();
        return std::ranges::any_of(following(chain), [&](const std::string& next) {
            return store.head(name_in_store(context_, place::segment(next))) ||
                   store.head(name_in_store(context_, place::tail(next, 0)));
        });
    }

    // Nothing is known of what comes after it: the archive ends here.
    std::optional<FetchedSegment> beginning_of(TailChain&& chain) const {
        warn_of_damage(chain);
        if (chain.segment_size == 0)
            return std::nullopt;
        const Lsn end = begin_of(chain) + chain.bytes.size();
        if (way_end_ <= begin_of(chain) || end <= begin_of_timeline())
            return std::nullopt;
        return FetchedSegment{padded(std::move(chain)), end};
    }

    void warn_of_damage(const TailChain& chain) const {
        if (!chain.damage || !context_.warn)
            return;
        context_.warn(Error(
            ErrorCode::corrupt, "the last piece of WAL segment \"" + name_ + "\" cannot be read",
            chain.damage->message + ": " + chain.damage->detail + " The segment's first " +
                std::to_string(chain.bytes.size()) + " bytes are there."));
    }

    // 0 where it is not known.
    Lsn begin_of_timeline() const {
        if (file_.timeline == 1)
            return 0;
        if (context_.target != nullptr && context_.target->contains(file_.timeline))
            return context_.target->begin_of(file_.timeline);
        const auto content = fetch_history(context_, file_.timeline);
        return content ? TimelineHistory::parse(file_.timeline, as_text(*content))
                             .begin_of(file_.timeline)
                       : 0;
    }

    const FetchContext& context_;
    const std::string& name_;
    const WalFileName file_;
    const Lsn way_end_;
};

}  // namespace

std::optional<FetchedSegment> fetch_segment_and_end(const FetchContext& context,
                                                    const std::string& name) {
    const auto parsed = parse_wal_file_name(name);
    if (!parsed || parsed->kind != WalFileKind::segment) {
        throw Error(ErrorCode::invalid_argument,
                    "\"" + name + "\" is not the name of a WAL segment");
    }
    return SegmentLookup(context, name, *parsed).run();
}

std::optional<Bytes> fetch_segment(const FetchContext& context, const std::string& name) {
    std::optional<FetchedSegment> segment = fetch_segment_and_end(context, name);
    if (!segment)
        return std::nullopt;
    return std::move(segment->bytes);
}

std::optional<Bytes> fetch_history(const FetchContext& context, TimelineId timeline) {
    auto content = read_small(context.repository.store(), context.cluster, ObjectKind::history,
                              place::history(timeline), kMaxHistoryBytes);
    // Plain objects have no digest: that every line can be read is what can be checked.
    if (content)
        TimelineHistory::parse(timeline, as_text(*content));
    return content;
}

std::optional<Bytes> fetch_partial(const FetchContext& context, const std::string& name) {
    const auto parsed = parse_wal_file_name(name);
    if (!parsed || parsed->kind != WalFileKind::partial) {
        throw Error(ErrorCode::invalid_argument,
                    "\"" + name + "\" is not the name of a .partial file");
    }
    std::optional<Partial> best;
    for_each_partial(context, name.substr(0, 24), [&](Partial&& partial) {
        if (!best || partial.valid_end > best->valid_end)
            best = std::move(partial);
        return true;
    });
    if (!best)
        return std::nullopt;
    return std::move(best->bytes);
}

}  // namespace ark
