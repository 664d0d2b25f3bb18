#include "core/changes/known_changes.hpp"

#include <set>

#include "core/changes/stored_changes.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

std::vector<ChangeRange> available_changes(ObjectStore& store, const std::string& cluster,
                                           const LocalChanges* local, const TimelineHistory& way,
                                           Lsn from) {
    std::set<ChangeRange> out;
    const auto add = [&](const std::vector<ChangeRange>& ranges) {
        for (const ChangeRange& range : ranges) {
            if (range.to > from && way.contains_range(range.timeline, range.from, range.to))
                out.insert(range);
        }
    };
    // What this host stored and cannot read is no use to it.
    if (!only_writes(store, cluster)) {
        for (const TimelineId timeline : way.timelines()) {
            if (way.end_of(timeline) > from)
                add(list_changes(store, cluster, timeline));
        }
    }
    if (local != nullptr)
        add(local->list());
    return {out.begin(), out.end()};
}

std::optional<RangeChanges> load_known_changes(ObjectStore& store, const std::string& cluster,
                                               const LocalChanges* local,
                                               const ChangeRange& range) {
    if (local != nullptr) {
        try {
            if (auto changes = local->load(range))
                return changes;
        } catch (const Error& error) {
            if (!is_of_content(error))
                throw;
        }
    }
    return load_changes(store, cluster, range);
}

bool is_of_content(const Error& error) {
    return error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported ||
           error.code == ErrorCode::invalid_key;
}

}  // namespace ark
