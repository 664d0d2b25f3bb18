#include "core/repo/manifest_writer.hpp"

#include <utility>

#include "core/base/crc32c.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

std::string path_member(const std::string& path) {
    if (!is_utf8(path))
        return "\"Encoded-Path\": \"" + to_hex(path) + "\"";
    return "\"Path\": " + nlohmann::json(path).dump();
}

}  // namespace

ManifestWriter::ManifestWriter(ObjectWriter& out, uint32_t pg_version_num,
                               uint64_t system_identifier)
    : ManifestWriter([&out](ByteView text) { out.append(text); }, pg_version_num,
                     system_identifier) {}

ManifestWriter::ManifestWriter(Sink out, uint32_t pg_version_num, uint64_t system_identifier)
    : out_(std::move(out)) {
    if (major_of(pg_version_num) >= kFirstWithManifestVersion2) {
        write("{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": " +
              std::to_string(system_identifier) + ",\n\"Files\": [");
    } else {
        write("{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [");
    }
}

void ManifestWriter::write(std::string_view text) {
    digest_.update(as_bytes(text));
    out_(as_bytes(text));
}

void ManifestWriter::add(const IndexEntry& file) {
    write(first_ ? "\n" : ",\n");
    first_ = false;
    write("{ " + path_member(stored_path(file)) + ", \"Size\": " + std::to_string(file.size) +
          ", \"Last-Modified\": \"" + to_manifest_time(file.modified) +
          "\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"" +
          crc32c_manifest_text(file.crc32c) + "\" }");
}

void ManifestWriter::finish(TimelineId timeline, Lsn start, Lsn stop) {
    write("\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": " + std::to_string(timeline) +
          ", \"Start-LSN\": \"" + to_text(start) + "\", \"End-LSN\": \"" + to_text(stop) +
          "\" }\n],\n");
    const std::string last = "\"Manifest-Checksum\": \"" + digest_.finish() + "\"}\n";
    out_(as_bytes(last));
}

}  // namespace ark
