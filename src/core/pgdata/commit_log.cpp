#include "core/pgdata/commit_log.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

namespace fs = std::filesystem;

// src/include/access/slru.h, clog.c: two bits a transaction, 32 pages a file.
constexpr uint32_t kXactsPerByte = 4;
constexpr uint32_t kXactsPerSegment = kXactsPerByte * 8192 * 32;
constexpr uint32_t kFirstNormalXid = 3;

std::optional<uint32_t> segment_of(const std::string& name) {
    uint32_t number = 0;
    const char* const end = name.data() + name.size();
    const auto [behind, error] = std::from_chars(name.data(), end, number, 16);
    if (name.size() != 4 || error != std::errc{} || behind != end)
        return std::nullopt;
    return number;
}

}  // namespace

/// A file, not read before it is asked.
class CommitLog::Mapping {
 public:
    explicit Mapping(const std::string& path) {
        const File file = File::open(path, O_RDONLY);
        size_ = static_cast<size_t>(file.stat().st_size);
        if (size_ == 0)
            return;
        address_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd(), 0);
        if (address_ == MAP_FAILED)
            throw system_error(errno, "could not map file \"" + path + "\"");
    }
    ~Mapping() {
        if (size_ > 0)
            ::munmap(address_, size_);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    ByteView bytes() const { return {static_cast<const std::byte*>(address_), size_}; }

 private:
    void* address_ = nullptr;
    size_t size_ = 0;
};

CommitLog::CommitLog(const std::string& data_directory, uint32_t oldest, uint32_t next)
    : oldest_(oldest), next_(next) {
    const std::string directory = data_directory + "/pg_xact";
    try {
        for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
            const auto number = segment_of(entry.path().filename().string());
            if (number)
                segments_.emplace(*number, std::make_unique<Mapping>(entry.path().string()));
        }
    } catch (const fs::filesystem_error& error) {
        throw system_error(error.code().value(), "could not list \"" + directory + "\"");
    }
}
CommitLog::~CommitLog() = default;

std::optional<XactStatus> CommitLog::status(uint32_t xid) const {
    // Transaction ids go round: what counts is how far one is from the oldest.
    if (xid < kFirstNormalXid || xid - oldest_ >= next_ - oldest_)
        return std::nullopt;
    const auto segment = segments_.find(xid / kXactsPerSegment);
    if (segment == segments_.end())
        return std::nullopt;
    const ByteView bytes = segment->second->bytes();
    const size_t at = xid % kXactsPerSegment / kXactsPerByte;
    if (at >= bytes.size())
        return std::nullopt;
    const auto byte = std::to_integer<uint8_t>(bytes[at]);
    return static_cast<XactStatus>(byte >> (xid % kXactsPerByte * 2) & 3U);
}

}  // namespace ark
