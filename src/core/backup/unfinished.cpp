#include "core/backup/unfinished.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <map>

#include "core/backup/cleanup.hpp"
#include "core/backup/record_run.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/manifest_writer.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/probe.hpp"

namespace ark {

namespace {

constexpr const char* kLockName = "/pg_wal/pg_ark.backup.lock";
constexpr int kLockTries = 300;
constexpr useconds_t kLockPause = 100000;
// The sweep removes what has been silent for kDeadAfterMicros: well before that it is not touched.
constexpr UnixMicros kTooOldMicros = kDeadAfterMicros - 2LL * 3600 * 1000000;
constexpr int kCompressionLevel = 3;

// What is below a backup that has no marker.
struct Remains {
    std::map<uint32_t, uint64_t> packs;  ///< bytes, by their numbers
    std::vector<uint32_t> parts;
    UnixMicros newest = 0;
};

Remains list_remains(ObjectStore& store, const std::string& prefix) {
    Remains out;
    store.list(prefix, [&](const ObjectInfo& object) {
        const std::string_view name =
            std::string_view(object.name).substr(object.name.rfind('/') + 1);
        if (const auto number = place::parse_part(name))
            out.parts.push_back(*number);
        if (const auto number = place::parse_pack(name))
            out.packs[*number] = object.size;
        out.newest = std::max(out.newest, object.modified);
        return true;
    });
    std::ranges::sort(out.parts);
    return out;
}

std::string_view line_of(LineReader& lines, const ObjectReader& object) {
    const auto line = lines.next();
    if (!line)
        throw object.damaged("It ends early.");
    return *line;
}

/// The files of all packs that were described, in path order.
class Pieces {
 public:
    Pieces(Repository& repository, const std::string& cluster, const std::string& backup_id)
        : repository_(repository), cluster_(cluster), backup_id_(backup_id) {}

    /// Error: corrupt, also where the pack is not as it is described.
    void add(uint32_t number, const std::map<uint32_t, uint64_t>& packs) {
        ObjectReader object(repository_.store(), cluster_, ObjectKind::part,
                            place::part(backup_id_, number));
        LineReader lines(object);
        read_begin(line_of(lines, object), object);
        PackInfo pack = read_pack(line_of(lines, object));
        const auto stored = packs.find(number);
        if (stored == packs.end() || stored->second != pack.stored_bytes)
            throw object.damaged("Its pack is not as it says.");
        packs_.resize(std::max<size_t>(packs_.size(), size_t{number} + 1));
        packs_[number] = std::move(pack);
        add_files(lines);
    }

    BackupMarker& begun() { return begun_; }
    std::vector<PackInfo> packs() { return packs_; }
    RecordMerge merge() {
        std::vector<RecordRun*> runs;
        for (RecordRun& run : runs_) {
            run.seal();
            runs.push_back(&run);
        }
        return RecordMerge(std::move(runs));
    }

 private:
    void read_begin(std::string_view line, const ObjectReader& object) {
        const std::string text = with_parsed_json(
            line, backup_id_, [](const nlohmann::json& j) { return strict_value<std::string>(j); });
        BackupMarker begun = parse_marker(text, backup_id_);
        if (begun.backup_id != backup_id_ || begun.cluster != cluster_ ||
            (!packs_.empty() && begun.start_lsn != begun_.start_lsn))
            throw object.damaged("It is of another backup.");
        begun_ = std::move(begun);
    }

    PackInfo read_pack(std::string_view line) const {
        return with_parsed_json(line, backup_id_, [](const nlohmann::json& j) {
            return PackInfo{member<uint64_t>(j, "stored_bytes"), member<std::string>(j, "sha256")};
        });
    }

    // A lane's large files are in path order, then the others.
    void add_files(LineReader& lines) {
        std::string last;
        RecordRun* run = nullptr;
        while (const auto line = lines.next()) {
            const IndexEntry entry = parse_index_line(*line);
            if (run == nullptr || entry.path <= last)
                run = &runs_.emplace_back();
            run->add(entry);
            last = entry.path;
        }
    }

    Repository& repository_;
    const std::string& cluster_;
    const std::string& backup_id_;
    BackupMarker begun_;
    std::vector<PackInfo> packs_;
    std::list<RecordRun> runs_;
};

ObjectWriter stream(Repository& repository, const BackupMarker& m, ObjectKind kind,
                    const std::string& place) {
    return {repository.store(), m.cluster, kind, place, m.writer, kCompressionLevel, true};
}

// The marker goes last, so that what is killed here can be done again: the content is the same.
BackupMarker seal(Repository& repository, Pieces& pieces) {
    BackupMarker m = pieces.begun();
    m.type = kTypeUnfinished;
    m.stop_segment = m.start_segment;
    m.completed_at = now_micros();
    m.packs = pieces.packs();
    ObjectWriter index = stream(repository, m, ObjectKind::index, place::index(m.backup_id));
    ObjectWriter manifest_object =
        stream(repository, m, ObjectKind::manifest, place::manifest(m.backup_id));
    ManifestWriter manifest(manifest_object, m.pg_version_num, m.system_identifier);
    RecordMerge merge = pieces.merge();
    while (const auto entry = merge.next()) {
        index.append(as_bytes(to_json_line(*entry)));
        manifest.add(*entry);
        ++m.files;
        m.database_bytes += entry->size;
    }
    manifest.finish(m.timeline, m.start_lsn, m.stop_lsn);
    const WrittenObject written_index = index.finish();
    const WrittenObject written_manifest = manifest_object.finish();
    PG_ARK_FAULT_POINT("backup_before_sealing");
    m.index_sha256 = written_index.plain_sha256;
    m.manifest_sha256 = written_manifest.plain_sha256;
    m.stored_bytes = written_index.stored_bytes + written_manifest.stored_bytes;
    for (const PackInfo& pack : m.packs)
        m.stored_bytes += pack.stored_bytes;
    store_small(repository.store(), m.cluster, ObjectKind::marker, place::marker(m.backup_id),
                as_bytes(to_json(m)), m.writer, BackupRange{m.timeline, m.start_lsn, m.stop_lsn});
    PG_ARK_FAULT_POINT("backup_after_sealing");
    return m;
}

// Why it is not to be used; nullopt where it is.
std::optional<std::string> foreign(Repository& repository, const BackupMarker& begun,
                                   const Remains& remains, const ParentQuestion& question) {
    const std::string place = place::part(begun.backup_id, remains.parts.front());
    const std::string& directory = question.request.data_directory;
    const auto header = read_header(repository.store(), begun.cluster + "/" + place);
    if (!header || !same_data_directory(header->writer, make_writer(directory)))
        return "backup " + begun.backup_id +
               " failed on another host or before the last start of this one";
    ObjectReader object(repository.store(), begun.cluster, ObjectKind::part, place);
    LineReader lines(object);
    static_cast<void>(line_of(lines, object));
    const std::string server =
        with_parsed_json(line_of(lines, object), object.name(),
                         [](const nlohmann::json& j) { return member<std::string>(j, "server"); });
    if (server.empty() || server != server_start(directory))
        return "the server has been stopped since backup " + begun.backup_id + " failed";
    if (begun.timeline != question.start.timeline)
        return "the server has changed its timeline since backup " + begun.backup_id + " failed";
    return std::nullopt;
}

std::optional<BackupMarker> make_link(Repository& repository, const ParentQuestion& question,
                                      const std::string& backup_id, std::string& why_not) {
    const std::string& cluster = question.request.cluster;
    const std::string prefix = cluster + "/" + place::backup(backup_id);
    const Remains remains = list_remains(repository.store(), prefix);
    if (remains.parts.empty())
        return std::nullopt;
    if (remains.newest < store_time(repository) - kTooOldMicros) {
        why_not = "what backup " + backup_id + " has left is older than a day";
        return std::nullopt;
    }
    Pieces pieces(repository, cluster, backup_id);
    for (const uint32_t number : remains.parts)
        pieces.add(number, remains.packs);
    if (auto reason = foreign(repository, pieces.begun(), remains, question)) {
        why_not = std::move(*reason);
        return std::nullopt;
    }
    BackupMarker expected = pieces.begun();
    expected.is_encrypted = question.encrypts;
    if (auto reason = unfit_parent(expected, question)) {
        why_not = std::move(*reason);
        return std::nullopt;
    }
    // What a backup that was killed late had of its own, of all its files.
    for (const std::string& place : {place::index(backup_id), place::manifest(backup_id)})
        repository.store().remove(cluster + "/" + place);
    seal(repository, pieces);
    return find_chain_link(repository, cluster, backup_id);
}

// Names tell seconds: whether a backup of the same one began behind it.
bool completed_since(Repository& repository, const BackupMarker& link,
                     std::vector<std::string>::const_iterator id,
                     std::vector<std::string>::const_iterator end) {
    const UnixMicros time = parse_backup_id(link.backup_id)->started_at;
    for (; id != end && parse_backup_id(*id)->started_at == time; ++id) {
        const auto other = find_backup(repository, link.cluster, *id);
        if (other && other->start_lsn > link.start_lsn)
            return true;
    }
    return false;
}

std::optional<std::string> unfit_link(Repository& repository, const BackupMarker& link,
                                      const ParentQuestion& question) {
    const std::string prefix = question.request.cluster + "/" + place::backup(link.backup_id);
    const Remains remains = list_remains(repository.store(), prefix);
    if (remains.parts.empty())
        return "backup " + link.backup_id + " has lost the descriptions of its packs";
    if (auto reason = unfit_parent(link, question))
        return reason;
    return foreign(repository, link, remains, question);
}

}  // namespace

BackupLock::BackupLock(const std::string& data_directory)
    : file_(File::open(data_directory + kLockName, O_RDWR | O_CREAT | O_NOFOLLOW, 0600)) {
    for (int i = 0; ::flock(file_.fd(), LOCK_EX | LOCK_NB) != 0; ++i) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw system_error(errno, "could not lock file \"" + file_.path() + "\"");
        if (i == kLockTries)
            throw Error(ErrorCode::refused, "another process takes a backup of this data directory",
                        "It holds the lock on \"" + file_.path() + "\".",
                        "It ends by itself when it finds that its server has gone; try again.");
        usleep(kLockPause);
    }
}

std::string server_start(const std::string& data_directory) {
    constexpr size_t kLimit = 64 << 10;
    const auto content = read_file_if_exists(data_directory + "/postmaster.pid", kLimit);
    if (!content)
        return {};
    // Process id, data directory, when it started (CreateLockFile in
    // src/backend/utils/init/miscinit.c). What follows changes while it runs.
    const std::string_view text = as_text(*content);
    size_t end = 0;
    for (int line = 0; line < 3 && end != std::string_view::npos; ++line)
        end = text.find('\n', line == 0 ? 0 : end + 1);
    return end == std::string_view::npos ? std::string() : std::string(text.substr(0, end));
}

std::optional<BackupMarker> adopt_unfinished(Repository& repository, const ParentQuestion& question,
                                             std::string& why_not) {
    const std::string& cluster = question.request.cluster;
    const std::vector<std::string> ids =
        newest_first(repository.store().list_parts(cluster + "/backup"));
    for (auto id = ids.begin(); id != ids.end(); ++id) {
        if (*id == question.request.id)
            continue;
        try {
            auto marker = find_chain_link(repository, cluster, *id);
            if (!marker) {
                marker = make_link(repository, question, *id, why_not);
            } else if (marker->type != kTypeUnfinished) {
                return std::nullopt;  // newer than all that may follow
            }
            if (!marker)
                continue;
            if (completed_since(repository, *marker, id + 1, ids.end()))
                return std::nullopt;
            if (auto reason = unfit_link(repository, *marker, question)) {
                why_not = std::move(*reason);
                continue;
            }
            return marker;
        } catch (const Error& error) {
            // A full backup takes the place of what cannot be used.
            if (error.code == ErrorCode::cancelled || error.retryable)
                throw;
            why_not = "what backup " + *id + " has left cannot be used: " + error.message;
        }
    }
    return std::nullopt;
}

void remove_descriptions(Repository& repository, const std::string& cluster,
                         const std::string& backup_id,
                         const std::vector<uint32_t>& numbers) noexcept {
    try {
        for (const uint32_t number : numbers)
            repository.store().remove(cluster + "/" + place::part(backup_id, number));
    } catch (const std::exception& error) {
        static_cast<void>(error);  // they take little room, and say nothing wrong
    }
}

}  // namespace ark
