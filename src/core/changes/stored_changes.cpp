#include "core/changes/stored_changes.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

constexpr int kLevel = 3;
// Far above any: 100,000 relations and 10 GB of single blocks take some 5 MB.
constexpr uint64_t kMostPlain = 1 << 30;

std::string place_of(const ChangeRange& range) {
    return place::changes(range.timeline, range.from, range.to);
}

}  // namespace

StoreResult store_changes(ObjectStore& store, const std::string& cluster,
                          const RangeChanges& changes, const Writer& writer) {
    return store_object(store, cluster, ObjectKind::changes, place_of(changes.range),
                        encode_changes(changes), writer, kLevel);
}

std::optional<RangeChanges> load_changes(ObjectStore& store, const std::string& cluster,
                                         const ChangeRange& range) {
    const std::string place = place_of(range);
    const std::string name = cluster + "/" + place;
    const auto stored = store.get(name, kMostPlain);
    if (!stored)
        return std::nullopt;
    RangeChanges changes = decode_changes(open_object(*stored, ObjectKind::changes, place,
                                                      kMostPlain, vault_of(store, cluster).get()),
                                          name);
    if (changes.range != range) {
        throw Error(ErrorCode::corrupt, "change table \"" + name + "\" is damaged",
                    "It is for " + to_text(changes.range) + ".");
    }
    return changes;
}

std::vector<ChangeRange> list_changes(ObjectStore& store, const std::string& cluster,
                                      TimelineId timeline) {
    std::vector<ChangeRange> out;
    const std::string directory = cluster + "/" + place::changes_timeline(timeline);
    store.list(directory, [&](const ObjectInfo& object) {
        const auto range =
            place::parse_changes(std::string_view(object.name).substr(directory.size() + 1));
        if (range)
            out.push_back({timeline, range->first, range->second});
        return true;
    });
    std::ranges::sort(out);
    return out;
}

}  // namespace ark
