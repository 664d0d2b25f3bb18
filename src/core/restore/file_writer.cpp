#include "core/restore/file_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/restore/delta.hpp"
#include "core/restore/file_lanes.hpp"
#include "core/restore/file_source.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

constexpr size_t kCompareBytes = 1 << 20;

class WritingLane final : public FileLane {
 public:
    WritingLane(Repository& repository, const BackupMarker& backup, const Layout& layout,
                const Durability& durability, bool delta, WriteCounters& counters)
        : layout_(layout),
          durability_(durability),
          counters_(counters),
          source_(repository, backup),
          buffer_(delta ? kCompareBytes : 0) {}

    void take(const FileWork& work, const std::function<bool()>& abandoned) override {
        opened_ = false;
        if (work.large)
            return share(work, abandoned);
        for (const IndexEntry& entry : work.files) {
            if (abandoned())
                return;
            const std::string path = path_of(entry);
            if (buffer_.empty() || !reuse(entry, path, abandoned))
                write(work, entry, path);
            ++counters_.files;
        }
    }

 private:
    // True where the file is right already. Else its name is free.
    bool reuse(const IndexEntry& entry, const std::string& path,
               const std::function<bool()>& abandoned) {
        auto file = open_if_right(path, entry, buffer_, abandoned);
        if (!file) {
            if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
                throw system_error(errno, "could not remove file \"" + path + "\"");
            return false;
        }
        set_mode(*file, entry);
        durability_.file_written(*file);
        ++counters_.reused_files;
        counters_.reused_bytes += entry.size;
        counters_.bytes += entry.size;
        PG_ARK_FAULT_POINT("restore_after_reuse");
        return true;
    }

    // Parts of a file that other lanes may be writing too. The last to end closes it.
    void share(const FileWork& work, const std::function<bool()>& abandoned) {
        LargeFile& large = *work.large;
        while (!abandoned()) {
            const auto part = large.next();
            if (!part)
                return;
            File& file = large.file([&] { return create(path_of(large.entry())); });
            uint64_t offset = part->offset;
            const uint32_t crc = source_.read_part(*part, [&](ByteView piece) {
                file.pwrite_all(piece, offset);
                offset += piece.size();
                count(piece);
            });
            durability_.part_written(file, part->offset, part->entry.size);
            if (const auto whole = large.written(*part, crc))
                end(file, large.entry(), *whole);
            if (work.helping)
                return;
        }
    }

    void end(File& file, const IndexEntry& entry, uint32_t crc) {
        if (crc != entry.crc32c)
            throw source_.damaged(entry, "checksum");
        finish(file, entry);
        ++counters_.files;
    }

    void count(ByteView piece) {
        counters_.bytes += piece.size();
        counters_.fetched += source_.fetched() - fetched_;
        fetched_ = source_.fetched();
    }

    std::string path_of(const IndexEntry& entry) const {
        return layout_.path_of(entry.path == kControlPath ? kWaitingControlPath : entry.path);
    }

    void finish(File& file, const IndexEntry& entry) {
        set_mode(file, entry);
        durability_.file_written(file);
        PG_ARK_FAULT_POINT("restore_after_file");
    }

    static void set_mode(const File& file, const IndexEntry& entry) {
        if (::fchmod(file.fd(), entry.mode & 07777) != 0) {
            throw system_error(errno, "could not change permissions of \"" + file.path() + "\"");
        }
    }

    void write(const FileWork& work, const IndexEntry& entry, const std::string& path) {
        if (!opened_)
            source_.open(work);
        opened_ = true;
        File file = create(path);
        source_.read(entry, [&](ByteView piece) {
            file.write_all(piece);
            count(piece);
        });
        finish(file, entry);
    }

    // The index names directories before what is in them; one that it lacks is made all the same.
    static File create(const std::string& path) {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
        try {
            return File::open(path, kFlags, 0600);
        } catch (const Error& error) {
            if (error.code != ErrorCode::not_found)
                throw;
        }
        make_directories(parent_directory(path), 0700);
        return File::open(path, kFlags, 0600);
    }

    const Layout& layout_;
    const Durability& durability_;
    WriteCounters& counters_;
    FileSource source_;
    uint64_t fetched_ = 0;
    Bytes buffer_;         ///< empty where nothing can be reused
    bool opened_ = false;  ///< the pack of the present work: nothing is fetched where all is right
};

void make_directory_of(const IndexEntry& entry, const Layout& layout) {
    const std::string path = layout.path_of(entry.path);
    make_directories(path, 0700);
    if (::chmod(path.c_str(), entry.mode & 07777) != 0) {
        throw system_error(errno, "could not change permissions of \"" + path + "\"");
    }
}

}  // namespace

void write_files(Repository& repository, const BackupMarker& backup, const Layout& layout,
                 const Durability& durability, int jobs, bool delta, WriteCounters& counters,
                 const std::function<void()>& tick) {
    FileLanes lanes(
        jobs,
        [&] {
            return std::make_unique<WritingLane>(repository, backup, layout, durability, delta,
                                                 counters);
        },
        tick);
    // A file that may be right already is compared as a whole.
    push_files(repository, backup, lanes, !delta,
               [&](const IndexEntry& entry) { make_directory_of(entry, layout); });
    lanes.finish();
}

}  // namespace ark
