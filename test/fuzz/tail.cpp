#include "core/archive/tail.hpp"

#include "core/archive/fetch.hpp"
#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark::fuzz {
namespace {

using test::WalBuilder;

const std::string kSegment = WalBuilder::name(1);

// A piece in an input: where it is to lie, what its header says of it, its bytes.
struct PieceHead {
    uint16_t from;     // in units of 8 bytes
    uint16_t length;   // of what follows
    uint16_t durable;  // in units of 8 bytes; 0: not said
    uint16_t is_raw;   // odd: what follows is the object itself
};

void add_piece(Bytes& input, uint16_t from, ByteView bytes, uint16_t durable = 0) {
    const PieceHead head{static_cast<uint16_t>(from / 8), static_cast<uint16_t>(bytes.size()),
                         static_cast<uint16_t>(durable / 8), 0};
    append(input, std::as_bytes(std::span(&head, 1)));
    append(input, bytes);
}

std::vector<Bytes> seeds() {
    WalBuilder wal;
    wal.add_of_size(500);
    wal.add_commit(700, 1);
    const Bytes segment = wal.segment(1);
    Bytes whole;
    add_piece(whole, 0, ByteView(segment).first(800));
    add_piece(whole, 800, ByteView(segment).subspan(800, 200), 800);
    Bytes torn;
    add_piece(torn, 0, ByteView(segment).first(400));
    add_piece(torn, 800, ByteView(segment).subspan(800, 200), 800);
    return {whole, torn};
}

void store_piece(ObjectStore& store, Input& input) {
    const auto head = input.take<PieceHead>();
    const std::string place = place::tail(kSegment, head.from * 8U);
    const ByteView bytes = input.take_bytes(head.length);
    ObjectHeader header{ObjectKind::tail,    place, kCipherNone, bytes.size(),
                        content_hash(bytes), {}};
    if (head.durable != 0)
        header.durable_bytes = head.durable * 8U;
    if (head.is_raw % 2 == 1)
        store.put_if_absent(kCluster + "/" + place, bytes);
    else
        store.put_if_absent(kCluster + "/" + place, seal_object(header, bytes, 1));
}

void run(ByteView bytes) {
    const auto repository = empty_repository();
    Input input(bytes);
    for (int pieces = 0; !input.empty() && pieces < 12; ++pieces)
        store_piece(repository->store(), input);
    const FetchContext context{*repository, kCluster, WalBuilder::kSystemIdentifier};
    answers([&] {
        const auto chain = read_tail(context, kSegment);
        require(!chain || chain->bytes.size() == chain->length, "a chain is as long as it says");
    });
    answers([&] { return read_tail_to_mend(context, kSegment, WalBuilder::kSegmentSize); });
    answers([&] {
        const auto segment = fetch_segment_and_end(context, kSegment);
        require(!segment || is_valid_segment_size(segment->bytes.size()), "a segment is whole");
    });
}

const Target target("tail", seeds, run);

}  // namespace
}  // namespace ark::fuzz
