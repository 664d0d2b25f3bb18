#include "core/restore/manifest.hpp"

#include <fcntl.h>

#include "core/base/file.hpp"
#include "core/repo/object_reader.hpp"

namespace ark {

void write_manifest(Repository& repository, const BackupMarker& backup, const std::string& path) {
    ObjectReader manifest(repository.store(), backup.cluster, ObjectKind::manifest,
                          place::manifest(backup.backup_id));
    File file = File::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    while (const auto piece = manifest.next())
        file.write_all(*piece);
    manifest.check_digest(backup.manifest_sha256);
    file.fsync();
}

}  // namespace ark
