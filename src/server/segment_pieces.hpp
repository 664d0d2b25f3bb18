#pragma once
/// Keeps the newest segment from being made of ever more pieces.

namespace ark {

/// By the WAL worker, now and then: asks the server to begin a new segment where the present one
/// has come to pg_ark.wal_stream_pieces pieces. Whoever recovers reads them one by one, until the
/// whole segment takes their place, which on a quiet server can take days.
void bound_pieces();

}  // namespace ark
