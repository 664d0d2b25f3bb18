#include "core/changes/known_backups.hpp"

#include <algorithm>
#include <utility>

#include "core/changes/known_changes.hpp"

namespace ark {

KnownBackups::KnownBackups(Repository& repository, std::string cluster, TimelineHistory way)
    : repository_(repository), cluster_(std::move(cluster)), way_(std::move(way)) {}

void KnownBackups::look() {
    std::map<std::string, std::optional<BackupRange>> found;
    for (const std::string& id : repository_.store().list_parts(cluster_ + "/backup")) {
        const auto known = ranges_.find(id);
        if (known != ranges_.end()) {
            found.insert(*known);
            continue;
        }
        try {
            if (const auto backup = outline_backup(repository_, cluster_, id))
                found[id] = backup->range;
        } catch (const Error& error) {
            // One that cannot be read is nobody's parent.
            if (!is_of_content(error))
                throw;
            found[id] = std::nullopt;
        }
    }
    ranges_ = std::move(found);
}

std::vector<Lsn> KnownBackups::starts(Lsn end) const {
    std::vector<Lsn> out;
    for (const auto& [id, range] : ranges_) {
        if (range && range->start < end &&
            way_.contains_range(range->timeline, range->start, range->stop))
            out.push_back(range->start);
    }
    std::ranges::sort(out, std::ranges::greater{});
    return out;
}

}  // namespace ark
