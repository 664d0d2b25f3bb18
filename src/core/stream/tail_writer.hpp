#pragma once

#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/archive/push.hpp"
#include "core/archive/tail.hpp"
#include "core/base/error.hpp"
#include "core/store/cloud/part_threads.hpp"
#include "core/stream/wal_buffer.hpp"

namespace ark {

/// Whether a segment of which every byte has come still gets pieces.
enum class CutRule {
    unfinished,  ///< no: its whole is about to be stored
    everything,  ///< yes: commits wait for its bytes
};

/// An object of a piece's name has other content, or somebody else has stored the whole of its
/// segment. It may be a piece of an earlier process of the same server, that was on its way when
/// the chain was read, or the segment may have been finished meanwhile: what is read anew tells.
struct PieceInTheWay : public Error {
    explicit PieceInTheWay(const Error& error) : Error(error) {}
};

/// Error: unsupported where an object may be overwritten (create_if_absent=off in the URL). A
/// process that was killed may have a piece on its way still, which would then take the place of a
/// longer one of the same name that the next process was told to be durable.
void refuse_overwriting_store(const ObjectStore& store);

/// Takes WAL of one timeline in the order in which it was written, and makes it durable in pieces
/// (docs/repository-format.md "Tail"). Several pieces are on their way at a time, but those of a
/// segment only begin when everything before the segment is durable. Pure of clocks and of the
/// server: its owner says when to cut.
///
/// For one thread; the store is called from the writer's own.
class TailWriter {
 public:
    /// `timeline_begin`: where the timeline left its parent; 0 for the first one. `wake` is called
    /// from any thread when a piece has come back. `target.store` outlives the writer. Error: as
    /// refuse_overwriting_store.
    TailWriter(PushTarget target, TimelineId timeline, Lsn timeline_begin,
               std::function<void()> wake);
    /// Waits for what is on its way. What is not is dropped.
    ~TailWriter();
    TailWriter(const TailWriter&) = delete;
    TailWriter& operator=(const TailWriter&) = delete;

    /// Where WAL will come from: a segment's begin, before which everything is durable. `chain` is
    /// what the repository has of this segment in pieces. Called once, before everything else.
    void begin(Lsn at, const std::optional<TailChain>& chain);

    /// Bytes that follow those before. Error: conflict where the chain has others; then nothing was
    /// written and nothing may be. A chain that can't be read is compared piece by piece, as soon
    /// as all of one has come.
    void append(ByteView wal);

    /// Sends one piece on its way if there is something to cut, if there is room on the way, and if
    /// what is before the segment is durable. False when nothing was cut.
    bool cut(CutRule rule);

    /// Takes note of what has come back. Error: that of the first piece that could not be stored,
    /// for a conflict PieceInTheWay; the writer is of no more use then.
    void collect();

    /// The segment is durable as a whole, and so is everything before it.
    void whole_is_durable(uint64_t number);

    /// The end of what has come.
    Lsn received() const { return received_; }
    /// Everything before it can be read back from the repository, and was compared with what came
    /// from the server. As far as collect() and whole_is_durable() know.
    Lsn durable() const { return durable_; }
    /// Where the next piece begins.
    Lsn cut_to() const { return cut_; }
    /// Bytes that are in no piece yet.
    uint64_t uncut() const { return buffer_.size(); }

    /// Pieces that were stored.
    uint64_t pieces() const { return stored_; }
    bool is_on_its_way_before(Lsn lsn) const;
    /// Whether there is a piece of the segment, maybe.
    bool has_pieces(uint64_t number) const { return with_pieces_.contains(number); }

 private:
    struct Piece {
        Lsn begin = 0;
        Lsn end = 0;
        Lsn durable = 0;  ///< what was so when it was cut; in its segment
        // Under the lock, and then of who saw that there are no more tasks.
        int tasks = 0;  ///< that are under way for it
        std::exception_ptr error;
        std::optional<Writer> whole;  ///< who else has stored the whole of its segment
    };

    Lsn segment_begin(Lsn lsn) const { return lsn - lsn % target_.segment_size; }
    Lsn compare_with_chain(ByteView wal);
    Lsn compare_with_sealed(ByteView wal);
    Error other_wal(Lsn at, const Writer& writer) const;
    Lsn end_of_next_piece(CutRule rule) const;
    void put(Piece& piece, const std::string& segment, const Bytes& wal);
    void look_for_whole(Piece& piece, const std::string& segment);
    void end_task(Piece& piece, std::exception_ptr error);
    void refuse_other_whole(const Piece& piece) const;
    std::unique_ptr<ObjectSealer> take_sealer();

    const PushTarget target_;
    const TimelineId timeline_;
    const Lsn timeline_begin_;
    const std::function<void()> wake_;

    Lsn received_ = 0;
    Lsn cut_ = 0;
    Lsn durable_ = 0;
    Lsn chain_begin_ = 0;
    std::optional<TailChain> chain_;  ///< until it was compared to its end
    size_t next_sealed_ = 0;          ///< of the chain's pieces, where they are compared by tags
    Bytes uncompared_;                ///< what has come of that piece
    WalBuffer buffer_;                ///< from cut_ on
    std::set<uint64_t> with_pieces_;
    uint64_t stored_ = 0;
    int64_t next_look_ = 0;
    std::list<Piece> pieces_;  ///< on their way, in order

    std::mutex mutex_;
    std::vector<std::unique_ptr<ObjectSealer>> sealers_;  ///< under the lock; idle ones

    PartThreads threads_;  ///< last: its end waits for what uses all the others
};

}  // namespace ark
