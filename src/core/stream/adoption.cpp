#include "core/stream/adoption.hpp"

#include <string_view>

#include "core/base/error.hpp"
#include "core/base/fault.hpp"

namespace ark {

namespace {

// Fault point: stream_before_cleanup, before the pieces of a segment are removed.

constexpr const char* kAheadHint =
    "This server was set back (a snapshot, a copy of its disk), or it is a copy of the one that "
    "wrote them. Stop the server that is not the right one; see \"Two servers, one timeline\" in "
    "docs/wal-streaming.md.";

Error ahead(const PushTarget& target, TimelineId timeline, const std::string& what, Lsn flushed,
            const Writer& writer) {
    return {ErrorCode::conflict,
            "the repository's WAL of timeline " + std::to_string(timeline) +
                " is ahead of this server's",
            what + ", written by " + describe(writer) + ". This server's WAL reaches " +
                to_text(flushed) + "; it is " + describe(target.writer) + ".",
            kAheadHint};
}

// Encryption was turned off in the middle of the segment, and the key's setting removed.
std::optional<TailChain> read_chain(Repository& repository, const PushTarget& target,
                                    const std::string& name) {
    try {
        return read_tail_to_mend({repository, target.cluster, target.system_identifier, nullptr},
                                 name, target.segment_size);
    } catch (const Error& error) {
        if (error.code != ErrorCode::invalid_key)
            throw;
        throw Error(
            error.code,
            "the pieces of WAL segment \"" + name + "\" are encrypted and cannot be continued",
            error.message + ". " + error.detail +
                " WAL is archived by whole segments until the server has finished this one.",
            "Set pg_ark.encryption_key_file or pg_ark.encryption_key_command again, or finish the "
            "segment: SELECT pg_switch_wal().");
    }
}

std::optional<TailChain> adopt_segment(Repository& repository, const PushTarget& target,
                                       WalSegment segment, Lsn flushed,
                                       const std::function<void(const Error&)>& warn) {
    const std::string name = segment_name(segment, target.segment_size);
    std::optional<TailChain> chain = read_chain(repository, target, name);
    if (!chain)
        return std::nullopt;
    const auto length = static_cast<uint32_t>(chain->length);
    const Lsn end = segment.number * target.segment_size + length;
    if (end > flushed) {
        throw ahead(target, segment.timeline,
                    "The pieces of WAL segment \"" + name + "\" reach " + to_text(end), flushed,
                    chain->writer);
    }
    const Lsn was_durable = segment.number * target.segment_size +
                            (chain->witness ? chain->witness->durable_bytes.value_or(0) : 0);
    if (was_durable > flushed) {
        throw ahead(target, segment.timeline,
                    "The pieces of WAL segment \"" + name + "\" reached " + to_text(was_durable),
                    flushed, chain->witness->writer);
    }
    if (chain->is_torn_apart && !chain->damage) {
        warn(Error(ErrorCode::corrupt,
                   "a piece of WAL segment \"" + name + "\" was lost and is written anew",
                   "There is no object \"" + target.cluster + "/" + place::tail(name, length) +
                       "\", which was durable when later ones were written.",
                   "Find out what removed it: pg_ark removes no piece before the whole segment is "
                   "stored."));
    }
    if (chain->damage) {
        const std::string piece = target.cluster + "/" + place::tail(name, length);
        warn(Error(chain->damage->code,
                   "a piece of WAL segment \"" + name + "\" was damaged and is written anew",
                   chain->damage->message + ". " + chain->damage->detail));
        repository.store().remove(piece);
    }
    // Who put the last one there may have died before its name was durable; one directory holds
    // them all.
    repository.store().make_durable(target.cluster + "/" + place::tail(name, 0));
    return chain;
}

}  // namespace

std::optional<TailChain> adopt_tail(Repository& repository, const PushTarget& target,
                                    WalSegment segment, Lsn flushed,
                                    const std::function<void(const Error&)>& warn) {
    std::optional<TailChain> chain = adopt_segment(repository, target, segment, flushed, warn);
    while (chain && chain->complete) {
        ++segment.number;
        // Before the next is read: it is as long as this one.
        if (chain->sealed.empty())
            chain->bytes.reserve(chain->bytes.size() + target.segment_size);
        std::optional<TailChain> next = adopt_segment(repository, target, segment, flushed, warn);
        if (!next)
            break;
        chain->bytes.insert(chain->bytes.end(), next->bytes.begin(), next->bytes.end());
        for (SealedPiece& piece : next->sealed) {
            piece.from += chain->length;
            chain->sealed.push_back(std::move(piece));
        }
        chain->length += next->length;
        chain->writer = std::move(next->writer);
        chain->complete = next->complete;
    }
    return chain;
}

void refuse_whole(Repository& repository, const PushTarget& target, const std::string& segment,
                  Lsn flushed) {
    const auto header =
        read_header(repository.store(), target.cluster + "/" + place::segment(segment));
    throw ahead(target, parse_wal_file_name(segment)->timeline,
                "The repository has the whole of WAL segment \"" + segment + "\"", flushed,
                header ? header->writer : Writer{});
}

void remove_old_tails(Repository& repository, const PushTarget& target, WalSegment before) {
    ObjectStore& store = repository.store();
    const std::string directory = target.cluster + "/" + place::tail_timeline(before.timeline);
    for (const std::string& segment : store.list_parts(directory)) {
        const auto name = parse_wal_file_name(segment);
        if (!name || name->kind != WalFileKind::segment ||
            name->segment_number(target.segment_size) >= before.number)
            continue;
        if (!store.head(target.cluster + "/" + place::segment(segment)))
            continue;
        PG_ARK_FAULT_POINT("stream_before_cleanup");
        remove_tail(store, target.cluster, segment);
    }
}

}  // namespace ark
