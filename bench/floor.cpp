// The least that any backup must do with this data, and any restore: what the figures are measured
// against.
//
//   ark_floor backup DATA_DIRECTORY DESTINATION
//       reads, checks pages, CRC-32C, zstd level 3, writes, fsyncs; two lanes
//   ark_floor restore SOURCE DESTINATION
//       reads, decompresses, writes, syncfs; two lanes
//
// No repository, no server, no manifest, no index: a stream of frames for each lane. Both take
// pieces of files, so that neither waits for the other at the end.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

#include "core/base/crc32c.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/file_list.hpp"
#include "core/pgdata/page.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pipeline/zstd.hpp"

namespace {

using ark::Bytes;

constexpr int kLanes = 2;
constexpr int kLevel = 3;
constexpr uint32_t kSegmentBlocks = 131072;
// What a lane takes at once of a file: small enough that both end together.
constexpr uint64_t kPieceBytes = 16 << 20;

// Before each piece of a file, with the path behind it, and before each of its frames.
struct Record {
    uint64_t offset = 0;  // in the file
    uint32_t path_bytes = 0;
    uint32_t frame_bytes = 0;
};

void put(Bytes& buffer, const void* data, size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    buffer.insert(buffer.end(), bytes, bytes + size);
}

class BackupLane {
 public:
    explicit BackupLane(const std::string& path)
        : out_(ark::File::open(path, O_WRONLY | O_CREAT | O_EXCL)),
          plain_(ark::kFrameBytes),
          frame_(ark::FrameCompressor::max_frame_bytes()) {}

    void copy(const std::string& root, const std::string& path, uint64_t from) {
        auto in = ark::File::open_if_exists(root + "/" + path, O_RDONLY);
        if (!in)
            return;
        const auto relation = ark::parse_relation_path(path);
        Record record{from, static_cast<uint32_t>(path.size()), 0};
        uint32_t crc = 0;
        for (; record.offset < from + kPieceBytes; record.offset += ark::kFrameBytes) {
            const size_t n = in->pread_full(plain_, record.offset);
            if (n == 0 && record.offset > 0)
                break;
            const ark::ByteView piece = ark::ByteView(plain_).first(n);
            if (relation)
                check(piece, relation->file.segment * kSegmentBlocks +
                                 static_cast<uint32_t>(record.offset / ark::kPageBytes));
            crc = ark::crc32c(crc, piece);
            record.frame_bytes = static_cast<uint32_t>(compressor_.compress(piece, frame_));
            write(record, path);
            record.path_bytes = 0;
            if (n < ark::kFrameBytes)
                break;
        }
        sum_ += crc;
    }
    void finish() {
        out_.write_all(pending_);
        out_.fsync();
    }
    uint64_t bad() const { return bad_; }

 private:
    void check(ark::ByteView piece, uint32_t block) {
        for (size_t at = 0; at + ark::kPageBytes <= piece.size(); at += ark::kPageBytes) {
            const auto state = ark::check_page(piece.subspan(at, ark::kPageBytes), block++);
            bad_ += state == ark::PageState::valid || state == ark::PageState::empty ? 0 : 1;
        }
    }
    void write(const Record& record, const std::string& path) {
        put(pending_, &record, sizeof(record));
        put(pending_, path.data(), record.path_bytes);
        put(pending_, frame_.data(), record.frame_bytes);
        if (pending_.size() < (4U << 20))
            return;
        out_.write_all(pending_);
        pending_.clear();
    }

    ark::File out_;
    Bytes plain_;
    Bytes frame_;
    Bytes pending_;
    ark::FrameCompressor compressor_{kLevel};
    uint32_t sum_ = 0;
    uint64_t bad_ = 0;
};

int backup(const std::string& source, const std::string& destination) {
    std::filesystem::create_directories(destination);
    const auto files = ark::FileList::read(source, [](const std::string&) {});
    std::vector<std::pair<size_t, uint64_t>> pieces;
    for (size_t n = 0; n < files.size(); ++n) {
        pieces.emplace_back(n, 0);
        for (uint64_t from = kPieceBytes; from < files.bytes(n); from += kPieceBytes)
            pieces.emplace_back(n, from);
    }
    std::atomic<size_t> next = 0;
    std::atomic<uint64_t> bad = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < kLanes; ++i) {
            threads.emplace_back([&, i] {
                BackupLane lane(destination + "/" + std::to_string(i));
                for (size_t n = next++; n < pieces.size(); n = next++)
                    lane.copy(source, files.path(pieces[n].first), pieces[n].second);
                lane.finish();
                bad += lane.bad();
            });
        }
    }
    ark::fsync_directory(destination);
    std::printf("%zu files, %llu bad pages\n", files.size(), static_cast<unsigned long long>(bad));
    return 0;
}

void restore_lane(const std::string& source, const std::string& destination) {
    const ark::File in = ark::File::open(source, O_RDONLY);
    const auto size = static_cast<uint64_t>(in.stat().st_size);
    ark::FrameDecompressor decompressor;
    Bytes stored(ark::FrameCompressor::max_frame_bytes() + 4096);
    Bytes plain(ark::kFrameBytes);
    ark::File out;
    Record record;
    for (uint64_t at = 0; at < size;) {
        const size_t n = in.pread_full(stored, at);
        std::memcpy(&record, stored.data(), sizeof(record));
        if (record.path_bytes > 0) {
            const std::string path(ark::as_text(stored).substr(sizeof(record), record.path_bytes));
            std::filesystem::create_directories(
                std::filesystem::path(destination + "/" + path).parent_path());
            out = ark::File::open(destination + "/" + path, O_WRONLY | O_CREAT);
        }
        const size_t begin = sizeof(record) + record.path_bytes;
        if (begin + record.frame_bytes > n)
            throw std::runtime_error("short file");
        const size_t bytes = decompressor.decompress(
            ark::ByteView(stored).subspan(begin, record.frame_bytes), plain, source);
        if (::pwrite(out.fd(), plain.data(), bytes, static_cast<off_t>(record.offset)) !=
            static_cast<ssize_t>(bytes))
            throw std::runtime_error("could not write");
        at += begin + record.frame_bytes;
    }
}

int restore(const std::string& source, const std::string& destination) {
    std::filesystem::create_directories(destination);
    const ark::File root = ark::File::open(destination, O_RDONLY | O_DIRECTORY);
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < kLanes; ++i)
            threads.emplace_back(
                [&, i] { restore_lane(source + "/" + std::to_string(i), destination); });
    }
    return ::syncfs(root.fd()) == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string verb = argc == 4 ? argv[1] : "";
    if (verb == "backup")
        return backup(argv[2], argv[3]);
    if (verb == "restore")
        return restore(argv[2], argv[3]);
    std::fprintf(stderr, "usage: %s backup|restore SOURCE DESTINATION\n", argv[0]);
    return 2;
}
