#pragma once

#include <cstdint>
#include <optional>

#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// The header of a WAL page (src/include/access/xlog_internal.h, XLogPageHeaderData; unchanged in
/// its layout since 9.3). Its magic differs between major versions and is only compared, never
/// known.
struct WalPageHeader {
    uint16_t magic = 0;
    uint16_t info = 0;
    TimelineId timeline = 0;
    Lsn address = 0;
    uint32_t remaining = 0;  ///< bytes of a record that continues from the page before

    /// The page begins with the rest of a record.
    bool continues() const { return (info & 0x0001) != 0; }
    bool is_long() const { return (info & 0x0002) != 0; }
    /// The record that the page before left unfinished is void: a crash cut it off, and recovery
    /// went on here with a new one.
    bool abandons() const { return (info & 0x0008) != 0; }
    /// Where the page's content begins.
    size_t size() const { return is_long() ? 40 : 24; }
};
constexpr size_t kShortPageHeader = 24;
constexpr size_t kLongPageHeader = 40;

/// Decodes; the bytes hold at least kShortPageHeader. Checks nothing.
WalPageHeader decode_page_header(ByteView page);

/// What a segment's first page says about the whole of it (XLogLongPageHeaderData).
struct WalSegmentFacts {
    WalPageHeader first;
    uint64_t system_identifier = 0;
    uint64_t segment_size = 0;
    uint32_t page_size = 0;
};
/// nullopt where the bytes don't begin with a long page header of possible values.
std::optional<WalSegmentFacts> decode_segment_facts(ByteView bytes);

}  // namespace ark
