#include "core/base/crc32c.hpp"
#include "core/repo/object.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

constexpr size_t kPrefix = 20;  // magic, length, tag, checksum

Bytes with_prefix(ByteView json) {
    Bytes out = encode_header({});
    out.resize(kPrefix);
    append(out, json);
    store<uint32_t>(out, 4, static_cast<uint32_t>(out.size() - 8));
    store<uint32_t>(out, 16, crc32c(0, json));
    return out;
}

// The JSON alone: the rest of it is put before.
Bytes json_of(const ObjectHeader& header) {
    const Bytes encoded = encode_header(header);
    return {encoded.begin() + kPrefix, encoded.end()};
}

std::vector<Bytes> seeds() {
    const Writer writer{"db1", "boot", "/var/lib/\xFF", 1795140902123456, "64512:1234"};
    ObjectHeader wal{ObjectKind::wal, "wal/1", kCipherNone, 16777216, {1, 2}, writer, 4096};
    ObjectHeader sealed{ObjectKind::marker, "backup/b/backup.json", kCipherAesGcm, 77, {}, writer};
    sealed.tag = std::string(64, 'a');
    sealed.data_keys = {{"0123456789abcdef", Bytes(40), {}},
                        {"fedcba9876543210", {}, {Bytes(32), Bytes(48)}}};
    sealed.range = BackupRange{1, 0x2000028, 0x2000100};
    return {json_of(wal), json_of(sealed), encode_header(wal)};
}

void check(ByteView stored) {
    ParsedHeader parsed;
    if (!answers([&] { parsed = parse_header(stored, "x"); }))
        return;
    require(parsed.frame_bytes <= stored.size(), "a header is part of its object");
    Bytes again;
    // With what it lacked filled in it may be too long now.
    try {
        again = encode_header(parsed.header);
    } catch (const Error&) {
        return;
    }
    require(encode_header(parse_header(again, "x").header) == again, "a header survives");
}

void run(ByteView input) {
    check(input);
    check(with_prefix(input));
}

const Target target("object_header", seeds, run);

}  // namespace
}  // namespace ark::fuzz
