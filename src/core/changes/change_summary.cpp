#include "core/changes/change_summary.hpp"

namespace ark {

void ChangeSummary::begin(Lsn since) {
    give_up();
    since_ = since;
}

void ChangeSummary::give_up() {
    since_.reset();
    table_ = {};
    blocks_ = 0;
}

void ChangeSummary::add(const ChangeTable& later) {
    if (!since_)
        return;
    table_.merge(later);
    blocks_ = table_.blocks();
    if (table_.memory_bytes() > most_bytes_)
        give_up();
}

std::optional<ChangeCount> ChangeSummary::count(const ChangeTable& current) const {
    if (!since_)
        return std::nullopt;
    ChangeCount out{*since_, table_.relations(), blocks_};
    for (const auto& [id, changes] : current.sorted()) {
        ChangeTable both;
        if (const RelationChanges* before = table_.find(id)) {
            out.blocks -= before->blocks.size();
            both.add(id, RelationChanges(*before));
        } else {
            ++out.relations;
        }
        both.add(id, RelationChanges(*changes));
        out.blocks += both.blocks();
    }
    return out;
}

}  // namespace ark
