#include "core/repo/marker.hpp"

#include "core/pipeline/digest.hpp"
#include "test/fuzz/target.hpp"
#include "test/support/sample_marker.hpp"

namespace ark::fuzz {
namespace {

// An input has no seal: the last comma of a marker, and what follows.
std::string sealed(std::string_view text) {
    return std::string(text) + ",\n  \"sha256\": \"" + sha256_hex(as_bytes(text)) + "\"\n}\n";
}

std::vector<Bytes> seeds() {
    const std::string text = to_json(test::sample_marker());
    return seeds_of({text, text.substr(0, text.rfind(','))});
}

void check(const std::string& text) {
    BackupMarker marker;
    if (!answers([&] { marker = parse_marker(text, "x"); }))
        return;
    require(marker.start_lsn < marker.stop_lsn && is_valid_segment_size(marker.wal_segment_size),
            "the WAL of a backup can be counted");
    const std::string again = to_json(marker);
    require(to_json(parse_marker(again, "x")) == again, "a marker survives");
}

void run(ByteView input) {
    const std::string text(as_text(input));
    check(text);
    check(sealed(text));
    answers([&] {
        const auto name = parse_backup_id(text);
        require(!name || !name->backup_type.empty(), "an id has a type");
    });
}

const Target target("marker", seeds, run);

}  // namespace
}  // namespace ark::fuzz
