#include "core/pgdata/control_file.hpp"

#include "core/base/crc32c.hpp"
#include "core/pgdata/server_version.hpp"
#include "test/fuzz/target.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark::fuzz {
namespace {

// What is behind these bytes says nothing.
constexpr size_t kSeen = 512;

std::vector<Bytes> seeds() {
    std::vector<Bytes> out;
    for (const ControlLayout& layout : kControlLayouts) {
        out.push_back(test::make_control_file(1, 1, layout.checksum, layout.version));
        out.back().resize(kSeen);
    }
    return out;
}

void check(ByteView bytes) {
    ControlFile control;
    if (answers([&] { control = parse_control_file(bytes); }))
        require(is_valid_segment_size(control.wal_segment_size) &&
                    control.relation_segment_blocks > 0 && control.block_size > 0,
                "sizes are sizes");
}

void run(ByteView input) {
    check(input);
    if (input.size() < kSeen)
        return;
    for (const ControlLayout& layout : kControlLayouts) {
        Bytes bytes(input.begin(), input.end());
        store<uint32_t>(bytes, layout.checksum, crc32c(0, input.first(layout.checksum)));
        check(bytes);
    }
}

const Target target("control_file", seeds, run);

}  // namespace
}  // namespace ark::fuzz
