#include "core/restore/manifest.hpp"

#include <fcntl.h>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pipeline/digest.hpp"
#include "core/pipeline/zstd.hpp"

namespace ark {

namespace {

constexpr size_t kFetchBytes = 4 << 20;

class ManifestReader {
 public:
    ManifestReader(Repository& repository, const BackupMarker& backup)
        : store_(repository.store()),
          place_(place::manifest(backup.backup_id)),
          name_(backup.cluster + "/" + place_) {}

    void copy_to(File& file, Sha256& digest) {
        skip_header();
        Bytes plain(kFrameBytes);
        FrameDecompressor decompressor;
        for (;;) {
            const auto length = stored_.empty() ? std::nullopt : frame_length(stored_, name_);
            if (!length) {
                if (fetch())
                    continue;
                if (stored_.empty())
                    return;
                throw damaged("It ends in the middle of a frame.");
            }
            const size_t n =
                decompressor.decompress(ByteView(stored_).first(*length), plain, name_);
            digest.update(ByteView(plain).first(n));
            file.write_all(ByteView(plain).first(n));
            drop(*length);
        }
    }

    Error damaged(const std::string& what) const {
        return {ErrorCode::corrupt, "object \"" + name_ + "\" is damaged", what};
    }

 private:
    void drop(size_t bytes) {
        stored_.erase(stored_.begin(), stored_.begin() + static_cast<ptrdiff_t>(bytes));
    }
    bool fetch() {
        const size_t before = stored_.size();
        stored_.resize(before + kFetchBytes);
        const size_t n = store_.get_range(name_, offset_, MutableByteView(stored_).subspan(before));
        stored_.resize(before + n);
        offset_ += n;
        return n > 0;
    }
    void skip_header() {
        fetch();
        const ParsedHeader parsed = parse_header(stored_, name_);
        if (parsed.header.kind != ObjectKind::manifest || parsed.header.place != place_) {
            throw damaged("It is an object of another place: \"" + parsed.header.place + "\".");
        }
        drop(parsed.frame_bytes);
    }

    ObjectStore& store_;
    const std::string place_;
    const std::string name_;
    Bytes stored_;
    uint64_t offset_ = 0;
};

}  // namespace

void write_manifest(Repository& repository, const BackupMarker& backup, const std::string& path) {
    ManifestReader reader(repository, backup);
    File file = File::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    Sha256 digest;
    reader.copy_to(file, digest);
    if (digest.finish() != backup.manifest_sha256) {
        throw reader.damaged("Its content does not match the digest in the backup's marker.");
    }
    file.fsync();
}

}  // namespace ark
