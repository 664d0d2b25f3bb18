#include "core/archive/tail.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <future>
#include <utility>
#include <vector>

#include "core/pgdata/wal_segment.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// A transfer can damage bytes, too; and what is taken for damage ends recovery.
constexpr int kReadsOfDamage = 3;

// So many are got one after the other: most chains cost no listing.
constexpr size_t kFewPieces = 4;

// A writer that was killed leaves pieces behind one that was on its way still, and the next one may
// be killed like it. Their headers say what was durable when they were begun. Where those of an
// earlier program do not, the one before them was durable only where more than theirs follow each
// other.
constexpr size_t kPiecesBehindALostOne = 2 * kTailPiecesOnTheWay;

struct Piece {
    Bytes bytes;  // empty where it is sealed
    uint64_t length = 0;
    ObjectHeader header;
};

Error damaged(const std::string& place, const std::string& why) {
    return {ErrorCode::corrupt, "object \"" + place + "\" is damaged", why};
}

Piece open_piece(ByteView stored, const std::string& place, const Vault* vault) {
    Piece piece{open_object(stored, ObjectKind::tail, place, kMaxTailPiece, vault), 0,
                parse_header(stored, place).header};
    piece.length = piece.bytes.size();
    if (piece.length == 0)
        throw damaged(place, "It holds no WAL.");
    return piece;
}

// As far as it can be checked without reading it. What it holds its tag tells.
Piece check_sealed_piece(ByteView stored, const std::string& place, const Vault* vault) {
    ParsedHeader parsed = parse_header(stored, place);
    ObjectHeader& header = parsed.header;
    if (!header.is_encrypted()) {
        Piece piece = open_piece(stored, place, vault);
        piece.bytes.clear();
        return piece;
    }
    if (header.kind != ObjectKind::tail || header.place != place)
        throw damaged(place, "It is in the wrong place.");
    const uint64_t length = header.plain_bytes.value_or(0);
    if (length == 0 || length > kMaxTailPiece || header.tag.empty())
        throw damaged(place, "Its header gives no size and tag, or an impossible size.");
    check_sealed_frames(stored, parsed.frame_bytes, place);
    return {{}, length, std::move(header)};
}

// As the clear header has it, which may be readable where the rest is not.
std::optional<uint64_t> plain_bytes_of(const std::optional<Bytes>& stored) {
    try {
        return stored ? parse_header(*stored, "").header.plain_bytes : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

// Gets pieces before their turn: where a server writes little a segment has hundreds, and one after
// the other each costs a round trip. Which there are a listing says; it is a hint only.
class PiecesAhead {
 public:
    explicit PiecesAhead(ObjectStore& store) : store_(store) {}

    // Those in the directory behind this one.
    void begin(const std::string& directory, const std::string& behind) {
        store_.list(directory, [&](const ObjectInfo& object) {
            if (object.name > behind)
                names_.push_back(object.name);
            return true;
        });
        refill();
    }

    // nullopt where it is not known yet, or was not there a moment ago.
    std::optional<Bytes> take(const std::string& name) {
        while (!pending_.empty() && pending_.front().name < name)
            pending_.pop_front();
        std::optional<Bytes> stored;
        if (!pending_.empty() && pending_.front().name == name) {
            stored = pending_.front().stored.get();
            pending_.pop_front();
        }
        refill();
        return stored;
    }

 private:
    static constexpr size_t kAtOnce = 8;

    struct Pending {
        std::string name;
        std::future<std::optional<Bytes>> stored;  // its destructor waits
    };

    void refill() {
        while (pending_.size() < kAtOnce && !names_.empty()) {
            const std::string name = names_.front();
            names_.pop_front();
            pending_.push_back({name, std::async(std::launch::async, [this, name] {
                                    return store_.get(name, kMaxStoredTailPiece);
                                })});
        }
    }

    ObjectStore& store_;
    std::deque<std::string> names_;
    std::deque<Pending> pending_;
};

class ChainReader {
 public:
    ChainReader(const FetchContext& context, const std::string& segment)
        : context_(context),
          store_(context.repository.store()),
          vault_(vault_of(store_, context.cluster)),
          segment_(segment),
          ahead_(store_) {}

    // For who has the segment's WAL itself.
    ChainReader(const FetchContext& context, const std::string& segment, uint64_t segment_size)
        : ChainReader(context, segment) {
        to_mend_ = true;
        is_sealed_ = vault_ && !vault_->can_read();
        if (is_sealed_)
            chain_.segment_size = segment_size;
    }

    std::optional<TailChain> run() {
        while (!chain_.complete && !chain_.is_torn_apart) {
            std::optional<Piece> piece = read_next();
            if (!piece && !chain_.damage && was_there()) {
                // A running writer may have stored it, and those behind it, since.
                piece = read_next();
                if (!piece && !chain_.damage)
                    chain_.is_torn_apart = true;
            }
            if (!piece)
                break;
            chain_.witness.reset();
            append(std::move(*piece));
            if (++pieces_ == kFewPieces && !chain_.complete)
                ahead_.begin(name_of(place::tail_directory(segment_)),
                             name_of(place_at(last_from_)));
        }
        if (chain_.length == 0 && !chain_.damage && !chain_.is_torn_apart)
            return std::nullopt;
        return std::move(chain_);
    }

 private:
    std::string name_of(const std::string& place) const { return context_.cluster + "/" + place; }

    std::string place_at(uint64_t from) const {
        return place::tail(segment_, static_cast<uint32_t>(from));
    }

    // nullopt where the chain ends.
    std::optional<Piece> read_next() {
        const std::string place = place_at(chain_.length);
        for (int reads = 1;; ++reads) {
            std::optional<Bytes> stored;
            try {
                stored = reads == 1 ? ahead_.take(name_of(place)) : std::nullopt;
                if (!stored)
                    stored = store_.get(name_of(place), kMaxStoredTailPiece);
                if (!stored)
                    return std::nullopt;
                return is_sealed_ ? check_sealed_piece(*stored, place, vault_.get())
                                  : open_piece(*stored, place, vault_.get());
            } catch (const Error& error) {
                if (error.code != ErrorCode::corrupt)
                    throw;
                if (reads < kReadsOfDamage)
                    continue;
                chain_.is_torn_apart = to_mend_ && is_said_durable_by(listed_behind());
                if (!chain_.is_torn_apart)
                    refuse_damage_inside(place, plain_bytes_of(stored), error);
                chain_.damage = error;
                return std::nullopt;
            }
        }
    }

    // The last piece may be torn: recovery ends before it. WAL behind it says that it was whole
    // once.
    void refuse_damage_inside(const std::string& place, std::optional<uint64_t> plain_bytes,
                              Error error) const {
        const uint64_t from = chain_.length;
        const bool followed = (plain_bytes && *plain_bytes > 0 && *plain_bytes <= kMaxTailPiece &&
                               store_.head(name_of(place_at(from + *plain_bytes)))) ||
                              is_listed_behind(name_of(place));
        if (!followed)
            return;
        error.detail += " There are later pieces of WAL segment \"" + segment_ +
                        "\": recovery must not end here.";
        throw Error(error);
    }

    // Behind the piece that begins where the chain ends.
    std::vector<std::string> listed_behind() const {
        const std::string place = place_at(chain_.length);
        std::vector<std::string> behind;
        store_.list(name_of(place::tail_directory(segment_)), [&](const ObjectInfo& object) {
            if (object.name > name_of(place))
                behind.push_back(object.name);
            return true;
        });
        return behind;
    }

    // The piece that begins where the chain ends.
    bool was_there() {
        const std::vector<std::string> behind = listed_behind();
        return is_said_durable_by(behind) || many_follow_each_other(behind);
    }

    // The last piece first: it knows most, unless a writer that was killed left it.
    bool is_said_durable_by(const std::vector<std::string>& behind) {
        return std::any_of(behind.rbegin(), behind.rend(), [&](const std::string& name) {
            auto header = header_of(name);
            if (!header || header->durable_bytes.value_or(0) <= chain_.length)
                return false;
            chain_.witness = std::move(header);
            return true;
        });
    }

    bool many_follow_each_other(const std::vector<std::string>& behind) const {
        size_t following = 0;
        std::string next;
        for (size_t i = 0; i < behind.size(); ++i) {
            following = behind[i] == next ? following + 1 : 1;
            if (following == kPiecesBehindALostOne)
                return true;
            if (following + behind.size() - i <= kPiecesBehindALostOne)
                return false;
            next = name_of_following(behind[i]);
        }
        return false;
    }

    // Of the piece that would begin where this one ends; empty where that can't be told.
    std::string name_of_following(const std::string& name) const {
        const std::string directory = name_of(place::tail_directory(segment_)) + "/";
        uint32_t from = 0;
        const char* begin = name.data() + directory.size();
        const char* end = name.data() + name.size();
        if (std::from_chars(begin, end, from, 16).ec != std::errc{})
            return {};
        const auto header = header_of(name);
        return header && header->plain_bytes ? name_of(place_at(from + *header->plain_bytes))
                                             : std::string();
    }

    // nullopt also where it can't be read.
    std::optional<ObjectHeader> header_of(const std::string& name) const {
        try {
            return read_header(store_, name);
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)
                throw;
            return std::nullopt;
        }
    }

    bool is_listed_behind(const std::string& name) const {
        bool found = false;
        store_.list(name_of(place::tail_directory(segment_)), [&](const ObjectInfo& object) {
            found = object.name > name;
            return !found;
        });
        return found;
    }

    void append(Piece&& piece) {
        const uint64_t from = chain_.length;
        last_from_ = from;
        chain_.length += piece.length;
        chain_.writer = piece.header.writer;
        if (is_sealed_) {
            chain_.sealed.push_back({from, piece.length, std::move(piece.header)});
        } else {
            append_bytes(piece.bytes);
        }
        if (chain_.segment_size != 0 && chain_.length > chain_.segment_size) {
            throw damaged(place_at(from),
                          "It reaches past the end of WAL segment \"" + segment_ + "\".");
        }
        chain_.complete = chain_.length == chain_.segment_size;
    }

    void append_bytes(ByteView bytes) {
        chain_.bytes.insert(chain_.bytes.end(), bytes.begin(), bytes.end());
        if (chain_.segment_size == 0 && chain_.bytes.size() >= kLongPageHeader) {
            chain_.segment_size =
                check_segment_begin(chain_.bytes, segment_, {context_.system_identifier, {}})
                    .segment_size;
            chain_.bytes.reserve(chain_.segment_size);
        }
    }

    const FetchContext& context_;
    ObjectStore& store_;
    const std::shared_ptr<const Vault> vault_;
    const std::string& segment_;
    bool to_mend_ = false;
    bool is_sealed_ = false;
    TailChain chain_;
    PiecesAhead ahead_;
    size_t pieces_ = 0;
    uint64_t last_from_ = 0;
};

}  // namespace

std::optional<TailChain> read_tail(const FetchContext& context, const std::string& segment) {
    return ChainReader(context, segment).run();
}

std::optional<TailChain> read_tail_to_mend(const FetchContext& context, const std::string& segment,
                                           uint64_t segment_size) {
    return ChainReader(context, segment, segment_size).run();
}

// From the last to the first: what a crash leaves of them is a chain still.
uint64_t remove_tail(ObjectStore& store, const std::string& cluster, const std::string& segment) {
    uint64_t removed = 0;
    try {
        std::vector<std::string> names;
        store.list(cluster + "/" + place::tail_directory(segment), [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        });
        std::ranges::reverse(names);
        for (const std::string& name : names) {
            if (store.remove(name))
                ++removed;
        }
    } catch (const Error& error) {
        if (error.code == ErrorCode::permission_denied)
            throw;
    }
    return removed;
}

}  // namespace ark
