#include "core/archive/tail.hpp"

#include <ranges>
#include <utility>
#include <vector>

#include "core/pgdata/wal_segment.hpp"

namespace ark {

namespace {

// A transfer can damage bytes, too; and what is taken for damage ends recovery.
constexpr int kReadsOfDamage = 3;
// zstd's worst case adds less than a hundredth.
constexpr uint64_t kMaxStoredPiece = kMaxTailPiece + (kMaxTailPiece >> 6) + kMaxHeaderBytes;

struct Piece {
    Bytes bytes;
    Writer writer;
};

Piece open_piece(ByteView stored, const std::string& place) {
    Piece piece{open_object(stored, ObjectKind::tail, place, kMaxTailPiece),
                parse_header(stored, place).header.writer};
    if (piece.bytes.empty())
        throw Error(ErrorCode::corrupt, "object \"" + place + "\" is damaged", "It holds no WAL.");
    return piece;
}

// As the clear header has it, which may be readable where the rest is not.
std::optional<uint64_t> plain_bytes_of(const std::optional<Bytes>& stored) {
    try {
        return stored ? parse_header(*stored, "").header.plain_bytes : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

class ChainReader {
 public:
    ChainReader(const FetchContext& context, const std::string& segment)
        : context_(context), store_(context.repository.store()), segment_(segment) {}

    std::optional<TailChain> run() {
        while (!chain_.complete) {
            std::optional<Piece> piece = read_next();
            if (!piece)
                break;
            append(std::move(*piece));
        }
        if (chain_.bytes.empty() && !chain_.damage)
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
        const std::string place = place_at(chain_.bytes.size());
        for (int reads = 1;; ++reads) {
            std::optional<Bytes> stored;
            try {
                stored = store_.get(name_of(place), kMaxStoredPiece);
                if (!stored)
                    return std::nullopt;
                return open_piece(*stored, place);
            } catch (const Error& error) {
                if (error.code != ErrorCode::corrupt)
                    throw;
                if (reads < kReadsOfDamage)
                    continue;
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
        const uint64_t from = chain_.bytes.size();
        const bool followed = (plain_bytes && *plain_bytes > 0 && *plain_bytes <= kMaxTailPiece &&
                               store_.head(name_of(place_at(from + *plain_bytes)))) ||
                              is_listed_behind(name_of(place));
        if (!followed)
            return;
        error.detail += " There are later pieces of WAL segment \"" + segment_ +
                        "\": recovery must not end here.";
        throw Error(error);
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
        const uint64_t from = chain_.bytes.size();
        chain_.bytes.insert(chain_.bytes.end(), piece.bytes.begin(), piece.bytes.end());
        chain_.writer = std::move(piece.writer);
        if (chain_.segment_size == 0 && chain_.bytes.size() >= kLongPageHeader) {
            chain_.segment_size =
                check_segment_begin(chain_.bytes, segment_, {context_.system_identifier, {}})
                    .segment_size;
            chain_.bytes.reserve(chain_.segment_size);
        }
        if (chain_.segment_size != 0 && chain_.bytes.size() > chain_.segment_size) {
            throw Error(ErrorCode::corrupt, "object \"" + place_at(from) + "\" is damaged",
                        "It reaches past the end of WAL segment \"" + segment_ + "\".");
        }
        chain_.complete = chain_.bytes.size() == chain_.segment_size;
    }

    const FetchContext& context_;
    ObjectStore& store_;
    const std::string& segment_;
    TailChain chain_;
};

}  // namespace

std::optional<TailChain> read_tail(const FetchContext& context, const std::string& segment) {
    return ChainReader(context, segment).run();
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
        for (const std::string& name : std::views::reverse(names)) {
            if (store.remove(name))
                ++removed;
        }
    } catch (const Error&) {
        return removed;
    }
    return removed;
}

}  // namespace ark
