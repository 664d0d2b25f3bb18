#include "core/verify/manifest.hpp"

#include "core/pipeline/digest.hpp"
#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

constexpr std::string_view kManifest =
    "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
    "{ \"Path\": \"PG_VERSION\", \"Size\": 3, \"Last-Modified\": \"2026-11-20 02:15:00 GMT\", "
    "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"64440205\" },\n"
    "{ \"Encoded-Path\": \"ff\", \"Size\": 0, \"Checksum\": \"00000000\" }\n],\n"
    "\"WAL-Ranges\": [\n"
    "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n";

std::vector<Bytes> seeds() {
    return seeds_of({kManifest});
}

void check(std::string_view text) {
    const auto repository = empty_repository();
    BackupMarker marker;
    marker.cluster = kCluster;
    marker.backup_id = "b";
    marker.timeline = 1;
    marker.start_lsn = 0x2000028;
    marker.stop_lsn = 0x2000100;
    marker.manifest_sha256 =
        write_object(*repository, ObjectKind::manifest, place::manifest("b"), as_bytes(text));
    marker.index_sha256 = write_object(*repository, ObjectKind::index, place::index("b"), {});
    VerifyContext context{*repository, marker, 1, [] {}};
    answers([&] { return check_manifest(context, text.size() % 2 == 0); });
}

void run(ByteView input) {
    const std::string text(as_text(input));
    check(text + "\"Manifest-Checksum\": \"" + sha256_hex(input) + "\"}\n");
    if (input.size() % 4 == 0)
        check(text);
}

const Target target("manifest", seeds, run);

}  // namespace
}  // namespace ark::fuzz
