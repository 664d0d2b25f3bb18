#include "core/archive/push.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>
#include <utility>

#include "core/archive/tail.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/pgdata/wal_segment.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/repository.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// Fault points: archive_before_put, archive_after_put, around the write of each object.

constexpr uint64_t kMaxHistoryBytes = 16 << 20;
// Where there are more, only so many of a segment's pieces are compared with it.
constexpr size_t kLastPieces = 32;

std::string ready_path(const std::string& path, const std::string& name) {
    return parent_directory(path) + "/archive_status/" + name + ".ready";
}

bool exists(const std::string& path) {
    struct stat st {};
    if (stat(path.c_str(), &st) == 0)
        return true;
    if (errno == ENOENT || errno == ENOTDIR)
        return false;
    throw system_error(errno, "could not stat file \"" + path + "\"");
}

Error changed(const std::string& path, const std::string& why) {
    Error error(ErrorCode::refused, "file \"" + path + "\" changed while it was read", why,
                "It is tried again when the server offers it again.");
    error.retryable = true;
    return error;
}

Writer writer_now(const PushTarget& target) {
    Writer writer = target.writer;
    writer.time = now_micros();
    return writer;
}

template <typename Put>
PushResult put(const Put& store) {
    PG_ARK_FAULT_POINT("archive_before_put");
    const StoreResult result = store();
    PG_ARK_FAULT_POINT("archive_after_put");
    return result == StoreResult::stored ? PushResult::stored : PushResult::present;
}

PushResult push_history(const PushTarget& target, TimelineId timeline, ByteView content) {
    TimelineHistory::parse(timeline, as_text(content));
    return put([&] {
        return store_small(target.store, target.cluster, ObjectKind::history,
                           place::history(timeline), content, writer_now(target));
    });
}

PushResult push_object(const PushTarget& target, ObjectKind kind, const std::string& place,
                       PushBuffers& buffers) {
    const PushResult result = put([&] {
        return store_object(target.store, target.cluster, kind, place, buffers.content,
                            writer_now(target), buffers.sealer, buffers.look_first, buffers.sealed);
    });
    buffers.look_first = result == PushResult::present;
    return result;
}

Error other_tail(const PushTarget& target, const std::string& name, const Writer& writer) {
    return {ErrorCode::conflict,
            "the repository has other WAL in the pieces of segment \"" + name + "\"",
            "They were written by " + describe(writer) + ". The writer now is " +
                describe(writer_now(target)) + ".",
            "Two servers write one timeline, or this one was set back. Find out which of them "
            "is the right one and stop the other; see \"Two servers, one timeline\" in "
            "docs/wal-streaming.md."};
}

// The last pieces of a segment, by name; at most so many. And how many there are.
std::deque<std::string> last_pieces(const PushTarget& target, const std::string& name,
                                    size_t& count) {
    std::deque<std::string> last;
    count = 0;
    target.store.list(target.cluster + "/" + place::tail_directory(name),
                      [&](const ObjectInfo& object) {
                          ++count;
                          last.push_back(object.name);
                          if (last.size() > kLastPieces)
                              last.pop_front();
                          return true;
                      });
    return last;
}

void check_piece(const PushTarget& target, const std::string& name, const std::string& object,
                 ByteView content) {
    const std::string place = object.substr(target.cluster.size() + 1);
    uint64_t from = 0;
    const std::string file = object.substr(object.rfind('/') + 1);
    const auto number = std::from_chars(file.data(), file.data() + file.size(), from, 16);
    const std::optional<Bytes> stored = target.store.get(object, kMaxStoredTailPiece);
    if (!stored || number.ec != std::errc{} || from > content.size())
        return;
    const ByteView ours = content.subspan(from);
    const ObjectHeader header = parse_header(*stored, place).header;
    const std::shared_ptr<const Vault> vault = vault_of(target.store, target.cluster);
    if (header.is_encrypted() && vault && !vault->can_read()) {
        const ByteView same = ours.first(std::min(ours.size(), header.plain_bytes.value_or(0)));
        if (!has_content(header, same.size(), content_hash(same), vault.get()).value_or(false))
            throw other_tail(target, name, header.writer);
        return;
    }
    const Bytes bytes = open_object(*stored, ObjectKind::tail, place, kMaxTailPiece, vault.get());
    if (!std::ranges::equal(ours.first(std::min(ours.size(), bytes.size())), bytes))
        throw other_tail(target, name, header.writer);
}

// Whoever wrote pieces of this segment wrote other WAL than this server, and has not stored the
// whole yet: two servers write one timeline. Where little is written a segment has tens of
// thousands of them, which nobody could read before the archiver's deadline; what another server
// has written differs to the last.
void check_tail(const PushTarget& target, const std::string& name, ByteView content) {
    try {
        size_t count = 0;
        const std::deque<std::string> last = last_pieces(target, name, count);
        // Who cannot read compares piece by piece, by their tags.
        const std::shared_ptr<const Vault> vault = vault_of(target.store, target.cluster);
        if (count > kLastPieces || (vault && !vault->can_read())) {
            for (const std::string& object : last)
                check_piece(target, name, object, content);
            return;
        }
        // A listing may lag.
        const auto chain = read_tail(
            {*target.repository, target.cluster, target.system_identifier, nullptr}, name);
        if (chain && (chain->bytes.size() > content.size() ||
                      !std::ranges::equal(chain->bytes, content.first(chain->bytes.size()))))
            throw other_tail(target, name, chain->writer);
    } catch (const Error& error) {
        // Pieces that can't be read say nothing; the whole is what makes up for them. So it is with
        // those from before encryption was turned off, where the key went with it.
        const bool has_no_key =
            error.code == ErrorCode::invalid_key && !vault_of(target.store, target.cluster);
        if (error.code != ErrorCode::corrupt && !has_no_key)
            throw;
    }
}

PushResult push_segment(const PushTarget& target, const std::string& name, PushBuffers& buffers) {
    check_complete_segment(buffers.content, name, {target.system_identifier, target.segment_size});
    const bool check = std::exchange(buffers.check_tail, true);
    if (check && target.repository != nullptr)
        check_tail(target, name, buffers.content);
    const PushResult result = push_object(target, ObjectKind::wal, place::segment(name), buffers);
    buffers.check_tail = false;
    return result;
}

WalFileName parse_name(const std::string& name) {
    const auto parsed = parse_wal_file_name(name);
    if (parsed)
        return *parsed;
    throw Error(ErrorCode::invalid_argument, "\"" + name + "\" is not the name of a WAL file",
                "A segment, a .partial, a .history or a .backup file was expected.");
}

}  // namespace

FileIdentity identity_of(const struct stat& st) {
    return {st.st_dev, st.st_ino, st.st_size,
            st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec};
}

FileIdentity identity_of_path(const std::string& path) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) {
        throw system_error(errno, "could not stat file \"" + path + "\"");
    }
    return identity_of(st);
}

FileIdentity read_wal_file(const std::string& path, const std::string& name, uint64_t limit,
                           bool needs_ready, Bytes& content) {
    const std::string ready = ready_path(path, name);
    const bool was_ready = exists(ready);
    if (needs_ready && !was_ready)
        throw changed(path, "It has no .ready file.");
    const File file = File::open(path, O_RDONLY | O_NONBLOCK);
    const struct stat before = file.stat();
    if (!S_ISREG(before.st_mode)) {
        throw Error(ErrorCode::invalid_argument, "\"" + path + "\" is not a regular file");
    }
    if (static_cast<uint64_t>(before.st_size) > limit) {
        throw Error(ErrorCode::corrupt, "WAL file \"" + name + "\" has the wrong size",
                    "It has " + std::to_string(before.st_size) + " bytes; at most " +
                        std::to_string(limit) + " were expected.");
    }
    const FileIdentity identity = identity_of(before);
    content.resize(static_cast<size_t>(before.st_size));
    if (file.pread_full(content, 0) != content.size() || identity_of(file.stat()) != identity) {
        throw changed(path, "Its size or time is another one.");
    }
    if (identity_of_path(path) != identity) {
        throw changed(path, "The name belongs to another file now.");
    }
    if (was_ready && !exists(ready))
        throw changed(path, "Its .ready file is gone.");
    return identity;
}

PushResult push_content(const PushTarget& target, const std::string& name, PushBuffers& buffers) {
    const ByteView content = buffers.content;
    const WalFileName file = parse_name(name);
    const WalOrigin origin{target.system_identifier, target.segment_size};
    switch (file.kind) {
        case WalFileKind::segment:
            return push_segment(target, name, buffers);
        case WalFileKind::partial:
            check_segment_header(content, name, origin);
            return push_object(target, ObjectKind::partial,
                               place::partial(name, sha256_hex(content)), buffers);
        case WalFileKind::history:
            return push_history(target, file.timeline, content);
        case WalFileKind::backup_label:
            return PushResult::ignored;
    }
    return PushResult::ignored;
}

PushResult push_wal_file(const PushTarget& target, const std::string& name, const std::string& path,
                         PushBuffers& buffers) {
    const WalFileName file = parse_name(name);
    // What a .backup file says is in the backup's marker.
    if (file.kind == WalFileKind::backup_label)
        return PushResult::ignored;
    const uint64_t limit =
        file.kind == WalFileKind::history ? kMaxHistoryBytes : target.segment_size;
    read_wal_file(path, name, limit, false, buffers.content);
    return push_content(target, name, buffers);
}

}  // namespace ark
