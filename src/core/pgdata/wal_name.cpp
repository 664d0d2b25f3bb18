#include "core/pgdata/wal_name.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstdio>

namespace ark {

namespace {

// The server writes these names in upper case and takes no other.
std::optional<uint32_t> parse_hex8(std::string_view text) {
    if (text.size() != 8)
        return std::nullopt;
    for (const char c : text) {
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')))
            return std::nullopt;
    }
    uint32_t value = 0;
    std::from_chars(text.data(), text.data() + 8, value, 16);
    return value;
}

uint64_t segments_per_xlog_id(uint64_t segment_size) {
    return 0x100000000ULL / segment_size;
}

}  // namespace

std::string to_text(Lsn lsn) {
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%X/%X", static_cast<uint32_t>(lsn >> 32),
                  static_cast<uint32_t>(lsn));
    return buffer.data();
}

std::optional<Lsn> parse_lsn(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == 0 || slash == std::string_view::npos || slash > 8)
        return std::nullopt;
    const std::string_view low_text = text.substr(slash + 1);
    if (low_text.empty() || low_text.size() > 8)
        return std::nullopt;
    uint32_t high = 0;
    uint32_t low = 0;
    const char* end = text.data() + text.size();
    const auto h = std::from_chars(text.data(), text.data() + slash, high, 16);
    const auto l = std::from_chars(low_text.data(), end, low, 16);
    if (h.ec != std::errc{} || h.ptr != text.data() + slash)
        return std::nullopt;
    if (l.ec != std::errc{} || l.ptr != end)
        return std::nullopt;
    return (static_cast<Lsn>(high) << 32) | low;
}

uint64_t WalFileName::segment_number(uint64_t segment_size) const {
    return high * segments_per_xlog_id(segment_size) + low;
}

std::optional<WalFileName> parse_wal_file_name(std::string_view name) {
    WalFileName out;
    const auto timeline = parse_hex8(name.substr(0, 8));
    if (!timeline)
        return std::nullopt;
    out.timeline = *timeline;
    if (name.substr(8) == ".history") {
        out.kind = WalFileKind::history;
        return out;
    }
    if (name.size() < 24)
        return std::nullopt;
    const auto high = parse_hex8(name.substr(8, 8));
    const auto low = parse_hex8(name.substr(16, 8));
    if (!high || !low)
        return std::nullopt;
    out.high = *high;
    out.low = *low;
    const std::string_view suffix = name.substr(24);
    if (suffix.empty())
        return out;
    if (suffix == ".partial") {
        out.kind = WalFileKind::partial;
        return out;
    }
    if (suffix.size() == 16 && suffix[0] == '.' && parse_hex8(suffix.substr(1, 8)) &&
        suffix.substr(9) == ".backup") {
        out.kind = WalFileKind::backup_label;
        return out;
    }
    return std::nullopt;
}

std::string hex8(uint32_t value) {
    std::array<char, 16> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%08X", value);
    return buffer.data();
}

std::string segment_name(WalSegment segment, uint64_t segment_size) {
    const uint64_t per_id = segments_per_xlog_id(segment_size);
    return hex8(segment.timeline) + hex8(static_cast<uint32_t>(segment.number / per_id)) +
           hex8(static_cast<uint32_t>(segment.number % per_id));
}

std::string history_name(TimelineId timeline) {
    return hex8(timeline) + ".history";
}

bool is_valid_segment_size(uint64_t size) {
    constexpr uint64_t kMegabyte = 1 << 20;
    return std::has_single_bit(size) && size >= kMegabyte && size <= 1024 * kMegabyte;
}

}  // namespace ark
