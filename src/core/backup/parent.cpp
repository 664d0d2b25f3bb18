#include "core/backup/parent.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

// Enough to step over backups of a time when something was otherwise; each costs a request.
constexpr size_t kMostCandidates = 64;
constexpr size_t kHistoryLimit = 1 << 20;

// A backup of the parent's name is there; it has to be the one.
std::optional<std::string> contradiction(const BackupMarker& child, const BackupMarker& parent) {
    if (parent.index_sha256 == child.parent_index_sha256)
        return std::nullopt;
    return "backup " + parent.backup_id + " is not the one that " + child.backup_id +
           " was built on";
}

// Why the chain below the candidate cannot be relied on; `chain` gets its ids.
std::optional<std::string> broken_chain(const BackupMarker& candidate,
                                        const ParentQuestion& question, const FindMarker& find,
                                        std::vector<std::string>& chain) {
    BackupMarker child = candidate;
    chain = {candidate.backup_id};
    while (!child.parent.empty()) {
        const auto parent = find(child.parent);
        if (!parent)
            return "backup " + child.parent + ", which " + child.backup_id +
                   " builds on, is not in the repository any more";
        if (auto reason = contradiction(child, *parent))
            return reason;
        // Also what makes the chain end: nobody but a forger makes a circle.
        if (parent->start_lsn >= child.start_lsn)
            return "backup " + parent->backup_id + ", which " + child.backup_id +
                   " builds on, did not begin before it";
        if (question.request.distrusted.contains(parent->backup_id))
            return "backup " + parent->backup_id + ", which " + candidate.backup_id +
                   " builds on, did not pass its last verification or restore test";
        chain.push_back(parent->backup_id);
        child = *parent;
    }
    return std::nullopt;
}

std::optional<std::string> refusal(const BackupMarker& candidate, const ParentQuestion& question,
                                   const FindMarker& find, std::vector<std::string>& chain) {
    if (auto reason = unfit_parent(candidate, question))
        return reason;
    return broken_chain(candidate, question, find, chain);
}

}  // namespace

std::vector<std::string> newest_first(std::vector<std::string> ids) {
    // One that was made of another in the repository has its time, and is the better parent.
    std::vector<std::tuple<UnixMicros, bool, std::string>> dated;
    for (std::string& id : ids) {
        if (const auto name = parse_backup_id(id))
            dated.emplace_back(name->started_at, name->backup_type == kTypeFull, std::move(id));
    }
    std::ranges::sort(dated, std::greater<>());
    ids.clear();
    for (auto& [time, is_full, id] : dated)
        ids.push_back(std::move(id));
    return ids;
}

std::optional<std::string> unfit_parent(const BackupMarker& m, const ParentQuestion& question) {
    const ControlFile& control = question.control;
    const std::string name = "backup " + m.backup_id;
    if (m.system_identifier != question.request.system_identifier)
        return name + " is of another cluster";
    if (major_of(m.pg_version_num) != major_of(question.request.pg_version_num) ||
        m.catalog_version != control.catalog_version)
        return name + " is of another version of PostgreSQL";
    if (m.block_size != control.block_size ||
        m.relation_segment_blocks != control.relation_segment_blocks ||
        m.wal_segment_size != control.wal_segment_size)
        return name + " has other sizes of blocks or segments";
    if (m.data_checksum_version != control.data_checksum_version)
        return "data checksums were turned " +
               std::string(control.data_checksum_version != 0 ? "on" : "off") + " since " + name +
               ", which changes pages without WAL";
    if (!question.way.contains_range(m.timeline, m.start_lsn, m.stop_lsn))
        return "the WAL of " + name + ", " + to_text(m.start_lsn) + " to " + to_text(m.stop_lsn) +
               " on timeline " + std::to_string(m.timeline) +
               ", is not part of this server's history";
    if (m.stop_lsn > question.start.lsn)
        return "the server's WAL is at " + to_text(question.start.lsn) + ", before the end of " +
               name + " at " + to_text(m.stop_lsn);
    if (m.is_encrypted != question.encrypts)
        return "encryption was turned " + std::string(question.encrypts ? "on" : "off") +
               " since " + name;
    if (m.corrupt_page_count > m.corrupt_pages.size())
        return name + " has more corrupt pages than it names";
    if (question.request.distrusted.contains(m.backup_id))
        return name + " did not pass its last verification or restore test";
    return std::nullopt;
}

namespace {

// Names tell seconds; where two backups were taken in one their LSNs tell which is newer. Of two
// with the same one was made of the other in the repository: the full one is better.
bool is_better(const BackupMarker& candidate, const BackupMarker& found) {
    return std::tuple(candidate.start_lsn, candidate.type == kTypeFull) >
           std::tuple(found.start_lsn, found.type == kTypeFull);
}

UnixMicros time_of(const std::string& id) {
    return parse_backup_id(id)->started_at;
}

}  // namespace

ParentAnswer choose_parent(Repository& repository, const ParentQuestion& question,
                           const FindMarker& find) {
    const bool wants_full = question.request.type == kTypeDifferential;
    ParentAnswer answer;
    size_t looked_at = 0;
    for (const std::string& id :
         newest_first(repository.store().list_parts(question.request.cluster + "/backup"))) {
        if (answer.parent && time_of(id) != time_of(answer.parent->backup_id))
            break;
        std::optional<std::string> reason;
        std::vector<std::string> chain;
        try {
            auto marker = find(id);
            if (!marker || marker->type == kTypeUnfinished ||
                (wants_full && marker->type != kTypeFull && !marker->resumed))
                continue;
            reason = refusal(*marker, question, find, chain);
            if (!reason && (!answer.parent || is_better(*marker, *answer.parent))) {
                answer.parent = std::move(marker);
                answer.chain = std::move(chain);
            }
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt && error.code != ErrorCode::unsupported &&
                error.code != ErrorCode::invalid_key)
                throw;
            reason = error.message;
        }
        if (answer.why_not.empty() && reason)
            answer.why_not = *reason;
        if (++looked_at == kMostCandidates)
            break;
    }
    if (answer.parent)
        answer.why_not.clear();
    else if (answer.why_not.empty())
        answer.why_not = wants_full ? "there is no full backup yet" : "there is no backup yet";
    return answer;
}

TimelineHistory own_history(const std::string& data_directory, TimelineId timeline) {
    if (timeline == 1)
        return TimelineHistory(timeline);
    const std::string path = data_directory + "/pg_wal/" + history_name(timeline);
    // Where it is not there the server knows of no ancestors either (readTimeLineHistory).
    const auto content = read_file_if_exists(path, kHistoryLimit);
    return content ? TimelineHistory::parse(timeline, as_text(*content))
                   : TimelineHistory(timeline);
}

}  // namespace ark
