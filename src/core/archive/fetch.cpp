#include "core/archive/fetch.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include "core/base/error.hpp"
#include "core/pgdata/wal_segment.hpp"
#include "core/repo/object.hpp"

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
    return open_object(*stored, kind, place, kMaxSegmentBytes);
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

}  // namespace

std::optional<Bytes> fetch_segment(const FetchContext& context, const std::string& name) {
    const auto parsed = parse_wal_file_name(name);
    if (!parsed || parsed->kind != WalFileKind::segment) {
        throw Error(ErrorCode::invalid_argument,
                    "\"" + name + "\" is not the name of a WAL segment");
    }
    const Lsn end = end_on_the_way(context, parsed->timeline);
    std::optional<Bytes> bytes = fetch_object(context, ObjectKind::wal, place::segment(name));
    if (!bytes) {
        return end == kMaxLsn ? std::nullopt : fetch_partial_up_to(context, name, end);
    }
    const uint64_t number =
        check_segment_header(*bytes, name, {context.system_identifier, std::nullopt});
    if (end <= number * bytes->size())
        return std::nullopt;
    cut_segment(*bytes, number, end);
    return bytes;
}

std::optional<Bytes> fetch_history(const FetchContext& context, TimelineId timeline) {
    auto content = context.repository.store().get(name_in_store(context, place::history(timeline)),
                                                  kMaxHistoryBytes);
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
