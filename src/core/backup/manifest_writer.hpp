#pragma once

#include <string>

#include "core/backup/host.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/index.hpp"
#include "core/repo/object_writer.hpp"

namespace ark {

/// Writes PostgreSQL's backup_manifest, version 1 (15, 16) or 2 (17 and newer), as
/// src/backend/backup/backup_manifest.c does, into an object. CRC-32C for the files: the manifest's
/// own checksum is SHA-256.
class ManifestWriter {
 public:
    ManifestWriter(ObjectWriter& out, uint32_t pg_version_num, uint64_t system_identifier);
    void add(const IndexEntry& file);
    /// WAL range and the manifest's checksum; the caller finishes the object.
    void finish(TimelineId timeline, Lsn start, Lsn stop);

 private:
    void write(std::string_view text);

    ObjectWriter& out_;
    Sha256 digest_;
    bool first_ = true;
};

}  // namespace ark
