#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ark {

using Lsn = uint64_t;
using TimelineId = uint32_t;

/// "0/2000028".
std::string to_text(Lsn lsn);
/// The inverse; nullopt for anything else.
std::optional<Lsn> parse_lsn(std::string_view text);

/// A segment's place: its timeline and its number counted from the beginning of WAL.
struct WalSegment {
    TimelineId timeline = 0;
    uint64_t number = 0;

    auto operator<=>(const WalSegment&) const = default;
};

/// What the server offers to an archiver, by the form of its name
/// (src/include/access/xlog_internal.h).
enum class WalFileKind { segment, history, backup_label, partial };

struct WalFileName {
    WalFileKind kind = WalFileKind::segment;
    TimelineId timeline = 0;
    uint32_t high = 0;  ///< second 8 digits; 0 for a history file
    uint32_t low = 0;   ///< third 8 digits; 0 for a history file

    /// The segment's number when segments have this many bytes.
    uint64_t segment_number(uint64_t segment_size) const;
};

/// nullopt where the name has none of the four forms.
std::optional<WalFileName> parse_wal_file_name(std::string_view name);

/// "000000010000000000000002".
std::string segment_name(WalSegment segment, uint64_t segment_size);
/// "00000002.history".
std::string history_name(TimelineId timeline);
/// Eight hexadecimal digits, upper case, as in file names.
std::string hex8(uint32_t value);

inline uint64_t segment_number_of(Lsn lsn, uint64_t segment_size) {
    return lsn / segment_size;
}
/// The segment that holds the byte before `lsn`: where WAL up to `lsn`, exclusive, ends.
inline uint64_t last_segment_number_before(Lsn lsn, uint64_t segment_size) {
    return (lsn - 1) / segment_size;
}
/// A power of two from 1 MB to 1 GB, as initdb --wal-segsize allows.
bool is_valid_segment_size(uint64_t size);

}  // namespace ark
