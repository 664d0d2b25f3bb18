#include "core/stream/tail_writer.hpp"

#include <algorithm>
#include <utility>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/repo/repository.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// Fault points: stream_before_put, stream_after_put, around the write of each piece.

// Pieces on their way at a time: commits that come while one is being stored need not wait for it.
constexpr size_t kOnTheWay = kTailPiecesOnTheWay;
// Four of them are on their way with their compressed bytes, and the memory is small.
constexpr uint64_t kPiece = 4 << 20;
static_assert(kPiece <= kMaxTailPiece);
// Recovery takes a whole before its pieces: what another server with this one's identity has stored
// takes away what these promise. So often a request more is little beside the pieces themselves.
constexpr int64_t kLookNanos = 1000000000;

}  // namespace

void refuse_overwriting_store(const ObjectStore& store) {
    if (store.creates_atomically())
        return;
    throw Error(ErrorCode::unsupported,
                "WAL is not streamed to a repository with create_if_absent=off",
                "Where the store overwrites objects, a piece of WAL that arrives late could take "
                "the place of a longer one, and commits that were reported as durable would be "
                "lost.",
                "Use a store that creates objects only where there is none. Or archive by segments "
                "alone: set pg_ark.wal_streaming to off, and take pg_ark out of "
                "synchronous_standby_names.");
}

TailWriter::TailWriter(PushTarget target, TimelineId timeline, Lsn timeline_begin,
                       std::function<void()> wake)
    : target_(std::move(target)),
      timeline_(timeline),
      timeline_begin_(timeline_begin),
      wake_(std::move(wake)),
      threads_(2 * kOnTheWay) {
    refuse_overwriting_store(target_.store);
}

TailWriter::~TailWriter() = default;

void TailWriter::begin(Lsn at, const std::optional<TailChain>& chain) {
    received_ = durable_ = cut_ = chain_begin_ = at;
    if (!chain || chain->length == 0)
        return;
    chain_ = chain;
    cut_ = at + chain->length;
    for (uint64_t number = at / target_.segment_size; number * target_.segment_size < cut_;
         ++number)
        with_pieces_.insert(number);
}

Error TailWriter::other_wal(Lsn at, const Writer& writer) const {
    return {ErrorCode::conflict,
            "the repository holds other WAL than this server's from " + to_text(at) +
                " of timeline " + std::to_string(timeline_) + " on",
            "The pieces of WAL segment \"" +
                segment_name({timeline_, at / target_.segment_size}, target_.segment_size) +
                "\" were written by " + describe(writer) + ". The writer now is " +
                describe(target_.writer) + ".",
            "Two servers write one timeline, or this one was set back. Find out which of them "
            "is the right one and stop the other; see \"Two servers, one timeline\" in "
            "docs/wal-streaming.md."};
}

// `wal` has just come. Returns the end of what was compared.
Lsn TailWriter::compare_with_chain(ByteView wal) {
    if (!chain_->sealed.empty())
        return compare_with_sealed(wal);
    const ByteView theirs =
        ByteView(chain_->bytes).subspan(received_ - chain_begin_).first(wal.size());
    const auto [mine, other] = std::ranges::mismatch(wal, theirs);
    if (mine != wal.end())
        throw other_wal(received_ + static_cast<uint64_t>(mine - wal.begin()), chain_->writer);
    return received_ + wal.size();
}

// A piece is compared when all of its bytes have come: its tag is of the whole.
Lsn TailWriter::compare_with_sealed(ByteView wal) {
    const std::shared_ptr<const Vault> vault = vault_of(target_.store, target_.cluster);
    uncompared_.insert(uncompared_.end(), wal.begin(), wal.end());
    size_t compared = 0;
    for (; next_sealed_ < chain_->sealed.size(); ++next_sealed_) {
        const SealedPiece& piece = chain_->sealed[next_sealed_];
        if (uncompared_.size() - compared < piece.length)
            break;
        const ByteView ours = ByteView(uncompared_).subspan(compared, piece.length);
        if (!has_content(piece.header, piece.length, content_hash(ours), vault.get())
                 .value_or(false))
            throw other_wal(chain_begin_ + piece.from, piece.header.writer);
        compared += piece.length;
    }
    uncompared_.erase(uncompared_.begin(), uncompared_.begin() + static_cast<ptrdiff_t>(compared));
    return received_ + wal.size() - uncompared_.size();
}

void TailWriter::append(ByteView wal) {
    if (chain_) {
        const Lsn chain_end = chain_begin_ + chain_->length;
        const ByteView known = wal.first(std::min<uint64_t>(wal.size(), chain_end - received_));
        const Lsn compared = compare_with_chain(known);
        received_ += known.size();
        durable_ = std::max(durable_, compared);
        wal = wal.subspan(known.size());
        if (received_ == chain_end) {
            chain_.reset();
            uncompared_ = Bytes();
        }
    }
    buffer_.append(wal);
    received_ += wal.size();
}

// cut_ when there is none.
Lsn TailWriter::end_of_next_piece(CutRule rule) const {
    const Lsn begin = segment_begin(cut_);
    const Lsn segment_end = begin + target_.segment_size;
    if (received_ <= cut_ || durable_ < begin)
        return cut_;
    if (rule == CutRule::unfinished && received_ >= segment_end)
        return cut_;
    // What a new timeline begins with is its parent's. Its first piece says more than that, so that
    // no chain ends where a reader could take it for the parent's end.
    const bool holds_fork =
        cut_ == begin && begin <= timeline_begin_ && timeline_begin_ < segment_end;
    if (holds_fork && received_ <= timeline_begin_)
        return cut_;
    return std::min({received_, segment_end, cut_ + (holds_fork ? kMaxTailPiece : kPiece)});
}

bool TailWriter::cut(CutRule rule) {
    const Lsn end = end_of_next_piece(rule);
    if (pieces_.size() >= kOnTheWay || end <= cut_)
        return false;
    Piece& piece = pieces_.emplace_back();
    piece.begin = cut_;
    piece.end = end;
    cut_ = end;
    const uint64_t number = piece.begin / target_.segment_size;
    with_pieces_.insert(number);
    const std::string segment = segment_name({timeline_, number}, target_.segment_size);
    const auto wal = std::make_shared<const Bytes>(buffer_.take(end - piece.begin));
    const int64_t now = monotonic_nanos();
    const bool looks = now >= next_look_;
    piece.tasks = looks ? 2 : 1;
    piece.durable = durable_;
    threads_.run([this, &piece, segment, wal] { put(piece, segment, *wal); });
    if (looks) {
        next_look_ = now + kLookNanos;
        threads_.run([this, &piece, segment] { look_for_whole(piece, segment); });
    }
    return true;
}

std::unique_ptr<ObjectSealer> TailWriter::take_sealer() {
    {
        const std::lock_guard lock(mutex_);
        if (!sealers_.empty()) {
            std::unique_ptr<ObjectSealer> sealer = std::move(sealers_.back());
            sealers_.pop_back();
            return sealer;
        }
    }
    return std::make_unique<ObjectSealer>(target_.compression_level);
}

// In one of the writer's threads. Bytes are durable when the store has said so of an object of its
// own making, or when it was there before and its content was read and is the same: both is what
// store_object sees to.
void TailWriter::put(Piece& piece, const std::string& segment, const Bytes& wal) {
    std::exception_ptr error;
    std::unique_ptr<ObjectSealer> sealer;
    try {
        sealer = take_sealer();
        Writer writer = target_.writer;
        writer.time = now_micros();
        const auto from = static_cast<uint32_t>(piece.begin % target_.segment_size);
        PG_ARK_FAULT_POINT("stream_before_put");
        store_object(
            target_.store, target_.cluster, ObjectKind::tail, place::tail(segment, from), wal,
            writer, *sealer, false, [] {}, piece.durable - segment_begin(piece.begin));
        PG_ARK_FAULT_POINT("stream_after_put");
    } catch (const Error& e) {
        error = e.code == ErrorCode::conflict ? std::make_exception_ptr(PieceInTheWay(e))
                                              : std::current_exception();
    } catch (...) {
        error = std::current_exception();
    }
    if (sealer) {
        const std::lock_guard lock(mutex_);
        sealers_.push_back(std::move(sealer));
    }
    end_task(piece, std::move(error));
}

void TailWriter::end_task(Piece& piece, std::exception_ptr error) {
    {
        const std::lock_guard lock(mutex_);
        if (!piece.error)
            piece.error = std::move(error);
        --piece.tasks;
    }
    wake_();
}

// At the same time as the piece is put, so that commits wait no longer. Our own archiver may have
// been faster than what comes from the server.
void TailWriter::look_for_whole(Piece& piece, const std::string& segment) {
    std::exception_ptr error;
    try {
        const auto whole =
            read_header(target_.store, target_.cluster + "/" + place::segment(segment));
        if (whole && !same_data_directory(whole->writer, target_.writer)) {
            const std::lock_guard lock(mutex_);
            piece.whole = whole->writer;
        }
    } catch (const Error& e) {
        // Whose it is can't be read: verification tells of it.
        if (e.code != ErrorCode::corrupt && e.code != ErrorCode::unsupported)
            error = std::current_exception();
    } catch (...) {
        error = std::current_exception();
    }
    end_task(piece, std::move(error));
}

void TailWriter::refuse_other_whole(const Piece& piece) const {
    const Lsn begin = segment_begin(piece.begin);
    if (!piece.whole || received_ >= begin + target_.segment_size)
        return;
    throw PieceInTheWay(
        Error(ErrorCode::conflict,
              "the repository has the whole of WAL segment \"" +
                  segment_name({timeline_, begin / target_.segment_size}, target_.segment_size) +
                  "\", which this server has not finished",
              "It was written by " + describe(*piece.whole) + ". The writer now is " +
                  describe(target_.writer) + ".",
              "Two servers write one timeline, or this one was set back. Find out which of them "
              "is the right one and stop the other; see \"Two servers, one timeline\" in "
              "docs/wal-streaming.md."));
}

void TailWriter::collect() {
    while (!pieces_.empty()) {
        Piece& piece = pieces_.front();
        {
            const std::lock_guard lock(mutex_);
            if (piece.tasks > 0)
                return;
        }
        refuse_other_whole(piece);
        // What became of it does not matter where its segment is durable as a whole meanwhile.
        if (piece.error && piece.end > durable_)
            std::rethrow_exception(piece.error);
        if (!piece.error)
            ++stored_;
        durable_ = std::max(durable_, piece.end);
        pieces_.pop_front();
    }
}

void TailWriter::whole_is_durable(uint64_t number) {
    const Lsn end = (number + 1) * target_.segment_size;
    if (received_ < end)
        throw Error(ErrorCode::internal, "a segment is durable that has not come yet");
    with_pieces_.erase(number);
    durable_ = std::max(durable_, end);
    if (cut_ < end) {
        buffer_.drop(end - cut_);
        cut_ = end;
    }
}

bool TailWriter::is_on_its_way_before(Lsn lsn) const {
    return !pieces_.empty() && pieces_.front().begin < lsn;
}

}  // namespace ark
