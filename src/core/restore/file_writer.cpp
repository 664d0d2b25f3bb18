#include "core/restore/file_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/restore/delta.hpp"
#include "core/restore/file_lanes.hpp"
#include "core/restore/file_source.hpp"
#include "core/restore/piece_writer.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

constexpr size_t kCompareBytes = 1 << 20;

class WritingLane final : public FileLane {
 public:
    WritingLane(Repository& repository, const BackupChain& chain, const Layout& layout,
                const Durability& durability, bool delta, RestoredChecksums& checksums,
                WriteCounters& counters)
        : chain_(chain),
          layout_(layout),
          durability_(durability),
          checksums_(checksums),
          counters_(counters),
          source_(repository, chain),
          pieces_(source_, [this](uint64_t end) { open_pack(end); }),
          buffer_(delta ? kCompareBytes : 0) {}

    void take(const FileWork& work, const std::function<bool()>& abandoned) override {
        if (work.large)
            return share(work, abandoned);
        if (!work.parts)
            return write_all(work, abandoned);
        while (!abandoned()) {
            const auto part = work.parts->next();
            if (!part)
                return;
            write_all(*part, abandoned);
            if (work.helping)
                return;
        }
    }

 private:
    void write_all(const FileWork& work, const std::function<bool()>& abandoned) {
        work_ = &work;
        opened_ = false;
        for (const FileItem& item : work.files) {
            if (abandoned())
                return;
            if (item.piece) {
                write_piece(*item.piece, abandoned);
            } else {
                write_whole(item.entry, abandoned);
            }
        }
    }

    bool is_delta() const { return !buffer_.empty(); }

    // Before something is read of the pack, up to `end`. In a delta restore nobody knows what comes
    // after that.
    void open_pack(uint64_t end) {
        if (!opened_ || is_delta())
            source_.open(work_->backup, work_->pack, is_delta() ? end : work_->end);
        opened_ = true;
    }
    static uint64_t end_of(const IndexEntry& entry) {
        return entry.frames.empty() ? 0 : entry.frames.back().offset + entry.frames.back().stored;
    }

    void write_whole(const IndexEntry& entry, const std::function<bool()>& abandoned) {
        const std::string path = path_of(entry);
        if (chain_.is_incremental() && entry.path == kLabelPath) {
            write_label(entry, path);
        } else if (!is_delta() || !reuse(entry, path, abandoned)) {
            write(entry, path);
        }
        ++counters_.files;
    }

    void write_piece(const FilePiece& piece, const std::function<bool()>& abandoned) {
        LayeredFile& target = *piece.file;
        auto file = target.open(path_of(target.entry()), is_delta(), piece.layer, abandoned);
        if (!file)
            return;
        const auto result = pieces_.write(piece, *file, abandoned);
        if (!result)
            return;
        if (result->bad_checksums)
            counters_.bad_checksums.add(*result->bad_checksums);
        counters_.bytes += result->bytes;
        counters_.reused_bytes += result->reused;
        count_fetched();
        durability_.piece_written(*file);
        PG_ARK_FAULT_POINT("restore_after_piece");
        const auto crc = target.written(piece.layer, result->written, result->reused);
        if (!crc)
            return;
        checksums_.set(target.number(), *crc);
        finish(*file, target.entry());
        counters_.bytes += target.zero_bytes();
        if (target.all_reused())
            ++counters_.reused_files;
        ++counters_.files;
    }

    // A server that reads there that its backup is incremental does not start.
    void write_label(const IndexEntry& entry, const std::string& path) {
        std::string label;
        open_pack(end_of(entry));
        source_.read(entry, [&](ByteView piece) {
            label += as_text(piece);
            count_fetched();
        });
        label = without_incremental_lines(label);
        if (is_delta())
            remove(path);
        File file = make_file(path);
        file.write_all(as_bytes(label));
        counters_.bytes += entry.size;
        checksums_.set_label(label.size(), crc32c(0, as_bytes(label)));
        finish(file, entry);
    }

    static void remove(const std::string& path) {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
            throw system_error(errno, "could not remove file \"" + path + "\"");
    }

    // True where the file is right already. Else its name is free.
    bool reuse(const IndexEntry& entry, const std::string& path,
               const std::function<bool()>& abandoned) {
        auto file = open_if_right(path, entry, buffer_, abandoned);
        if (!file) {
            remove(path);
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
            File& file = large.file([&] { return make_file(path_of(large.entry())); });
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
        count_fetched();
    }

    void count_fetched() {
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

    void write(const IndexEntry& entry, const std::string& path) {
        open_pack(end_of(entry));
        File file = make_file(path);
        source_.read(entry, [&](ByteView piece) {
            file.write_all(piece);
            count(piece);
        });
        finish(file, entry);
    }

    const BackupChain& chain_;
    const Layout& layout_;
    const Durability& durability_;
    RestoredChecksums& checksums_;
    WriteCounters& counters_;
    FileSource source_;
    PieceWriter pieces_;
    const FileWork* work_ = nullptr;
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

void BadChecksums::add(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (count_++ == 0)
        first_ = error.message + (error.detail.empty() ? "" : ": " + error.detail);
}

std::string BadChecksums::describe() const {
    const std::lock_guard lock(mutex_);
    if (count_ == 0)
        return {};
    return "the checksums of the blocks of " + std::to_string(count_) +
           (count_ == 1 ? " file" : " files") +
           " in the repository are damaged; what the directory had of them was fetched anew. The "
           "first: " +
           first_;
}

std::string without_incremental_lines(std::string_view label) {
    std::string out;
    while (!label.empty()) {
        const std::string_view line = label.substr(0, label.find('\n') + 1);
        const std::string_view whole = line.empty() ? label : line;
        if (!whole.starts_with("INCREMENTAL FROM LSN: ") &&
            !whole.starts_with("INCREMENTAL FROM TLI: "))
            out += whole;
        label.remove_prefix(whole.size());
    }
    return out;
}

void write_files(Repository& repository, const BackupChain& chain, const Layout& layout,
                 const Durability& durability, const WriteOptions& options,
                 RestoredChecksums& checksums, WriteCounters& counters,
                 const std::function<void()>& tick) {
    FileLanes lanes(
        options.jobs,
        [&] {
            return std::make_unique<WritingLane>(repository, chain, layout, durability,
                                                 options.delta, checksums, counters);
        },
        tick);
    push_restored_files(repository, chain, lanes, options.delta, checksums,
                        [&](const IndexEntry& entry) { make_directory_of(entry, layout); });
    lanes.finish();
}

}  // namespace ark
