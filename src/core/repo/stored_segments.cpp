#include "core/repo/stored_segments.hpp"

#include <algorithm>
#include <string_view>

namespace ark {

namespace {

constexpr std::string_view kSuffix = ".zst";

// The second 8 digits of the segments that may be in this directory; nullopt for another name.
std::optional<uint32_t> high_of(const std::string& directory) {
    const auto parsed = parse_wal_file_name("00000001" + directory + "00000000");
    return parsed ? std::optional(parsed->high) : std::nullopt;
}

std::optional<uint64_t> number_of(std::string_view name, uint64_t segment_size) {
    if (!name.ends_with(kSuffix))
        return std::nullopt;
    const auto parsed = parse_wal_file_name(name.substr(0, name.size() - kSuffix.size()));
    if (!parsed || parsed->kind != WalFileKind::segment)
        return std::nullopt;
    return parsed->segment_number(segment_size);
}

}  // namespace

void find_stored_segments(Repository& repository, const SegmentSearch& search,
                          const std::function<bool(uint64_t number)>& visit) {
    find_stored_segments(repository, search, [&](uint64_t number, const ObjectInfo& /*object*/) {
        return visit(number);
    });
}

void find_stored_segments(
    Repository& repository, const SegmentSearch& search,
    const std::function<bool(uint64_t number, const ObjectInfo& object)>& visit) {
    const uint32_t lowest =
        parse_wal_file_name(segment_name({search.timeline, search.first}, search.segment_size))
            ->high;
    const std::string root = search.cluster + "/wal/" + hex8(search.timeline);
    bool goes_on = true;
    for (const std::string& part : repository.store().list_parts(root)) {
        const auto high = high_of(part);
        if (!goes_on || !high || *high < lowest)
            continue;
        std::string directory = root;
        directory.append("/").append(part);
        repository.store().list(directory, [&](const ObjectInfo& object) {
            const auto number = number_of(
                std::string_view(object.name).substr(directory.size() + 1), search.segment_size);
            if (number && *number >= search.first)
                goes_on = visit(*number, object);
            return goes_on;
        });
    }
}

std::optional<uint64_t> first_stored_segment(Repository& repository, const SegmentSearch& search) {
    std::optional<uint64_t> lowest;
    find_stored_segments(repository, search, [&](uint64_t number) {
        lowest = number;
        return false;
    });
    const std::string pieces = search.cluster + "/" + place::tail_timeline(search.timeline);
    for (const std::string& part : repository.store().list_parts(pieces)) {
        const auto name = parse_wal_file_name(part);
        if (!name || name->kind != WalFileKind::segment)
            continue;
        const uint64_t number = name->segment_number(search.segment_size);
        if (number >= search.first)
            lowest = std::min(number, lowest.value_or(number));
    }
    return lowest;
}

}  // namespace ark
