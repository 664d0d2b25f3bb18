#include "server/segment_pieces.hpp"

#include "server/settings.hpp"
#include "server/shared.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
}

namespace ark {
namespace {

// A larger segment takes longer to fill, and more to switch: it may have as much more.
constexpr int kUsualSegment = 16 << 20;

uint64 most_pieces() {
    return static_cast<uint64>(settings.wal_stream_pieces) *
           static_cast<uint64>(Max(wal_segment_size / kUsualSegment, 1));
}

}  // namespace

void bound_pieces() {
    static XLogSegNo segment = 0;
    static uint64 pieces_before = 0;
    lock_shared(LW_SHARED);
    const uint64 pieces = shared->wal.pieces;
    const XLogRecPtr received = shared->wal.received;
    unlock_shared();
    XLogSegNo present = 0;
    XLByteToSeg(received, present, wal_segment_size);
    if (present != segment || pieces < pieces_before) {
        segment = present;
        pieces_before = pieces;
    }
    if (settings.wal_stream_pieces == 0 || pieces - pieces_before < most_pieces())
        return;
    pieces_before = pieces;
    ereport(DEBUG1, (errmsg_internal("switching WAL after %lu pieces of one segment",
                                     static_cast<unsigned long>(most_pieces()))));
    (void)RequestXLogSwitch(false);
}

}  // namespace ark
