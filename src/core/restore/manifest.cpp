#include "core/restore/manifest.hpp"

#include <fcntl.h>

#include <utility>

#include "core/base/file.hpp"
#include "core/repo/manifest_writer.hpp"
#include "core/repo/object_reader.hpp"
#include "core/restore/layout.hpp"

namespace ark {

namespace {

constexpr size_t kBufferBytes = 1 << 20;

void copy_manifest(Repository& repository, const BackupMarker& backup, File& file) {
    ObjectReader manifest(repository.store(), backup.cluster, ObjectKind::manifest,
                          place::manifest(backup.backup_id));
    while (const auto piece = manifest.next())
        file.write_all(*piece);
    manifest.check_digest(backup.manifest_sha256);
}

// As it is on disk.
IndexEntry restored(IndexEntry entry, const RestoredChecksums& checksums, size_t& put_together) {
    if (entry.incremental) {
        entry.size = entry.incremental->file_size;
        entry.crc32c = checksums.at(put_together++);
        entry.incremental.reset();
    } else if (const auto label = checksums.label(); label && entry.path == kLabelPath) {
        entry.size = label->first;
        entry.crc32c = label->second;
    }
    return entry;
}

void make_manifest(Repository& repository, const BackupMarker& backup,
                   const RestoredChecksums& checksums, File& file) {
    std::string buffer;
    const auto flush = [&] {
        file.write_all(as_bytes(buffer));
        buffer.clear();
    };
    ManifestWriter manifest(
        [&](ByteView text) {
            buffer += as_text(text);
            if (buffer.size() >= kBufferBytes)
                flush();
        },
        backup.pg_version_num, backup.system_identifier);
    IndexReader index(repository, backup.cluster, backup.backup_id, backup.index_sha256);
    size_t put_together = 0;
    while (auto entry = index.next()) {
        if (entry->type == EntryType::file)
            manifest.add(restored(std::move(*entry), checksums, put_together));
    }
    manifest.finish(backup.timeline, backup.start_lsn, backup.stop_lsn);
    flush();
}

}  // namespace

void write_manifest(Repository& repository, const BackupChain& chain,
                    const RestoredChecksums& checksums, const std::string& path) {
    File file = File::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (chain.is_incremental()) {
        make_manifest(repository, chain.tip(), checksums, file);
    } else {
        copy_manifest(repository, chain.tip(), file);
    }
    file.fsync();
}

}  // namespace ark
