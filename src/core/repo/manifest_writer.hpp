#pragma once

#include <functional>
#include <string>

#include "core/pgdata/wal_name.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/index.hpp"
#include "core/repo/object_writer.hpp"

namespace ark {

/// Writes PostgreSQL's backup_manifest, version 1 (15, 16) or 2 (17 and newer), as
/// src/backend/backup/backup_manifest.c does. CRC-32C for the files: the manifest's own checksum is
/// SHA-256.
class ManifestWriter {
 public:
    using Sink = std::function<void(ByteView)>;

    ManifestWriter(Sink out, uint32_t pg_version_num, uint64_t system_identifier);
    /// Into an object, which the caller finishes.
    ManifestWriter(ObjectWriter& out, uint32_t pg_version_num, uint64_t system_identifier);
    void add(const IndexEntry& file);
    /// WAL range and the manifest's checksum.
    void finish(TimelineId timeline, Lsn start, Lsn stop);

 private:
    void write(std::string_view text);

    Sink out_;
    Sha256 digest_;
    bool first_ = true;
};

}  // namespace ark
