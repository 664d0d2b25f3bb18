#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.hpp"

namespace ark {

constexpr size_t kTarBlock = 512;

/// Zeros that follow `bytes` of content to the next block.
constexpr size_t tar_padding(uint64_t bytes) {
    return static_cast<size_t>((kTarBlock - bytes % kTarBlock) % kTarBlock);
}

/// The header of a member (POSIX.1-2001 ustar; a pax extended header before it where the path is
/// too long for ustar or the size is 8 GiB or more). Owner and group are 0: an archive is unpacked
/// for whoever unpacks it. A directory's path gets its slash here.
Bytes tar_file_header(const std::string& path, uint64_t bytes, uint32_t mode,
                      int64_t mtime_seconds);
Bytes tar_directory_header(const std::string& path, uint32_t mode);

/// Two zero blocks: the end of an archive.
Bytes tar_end();

}  // namespace ark
