#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"

namespace ark {

struct TarMember {
    std::string path;
    uint32_t mode = 0600;
    bool is_directory = false;
    ByteView content;  ///< into the archive's bytes
};

/// Reads what pipeline/tar_writer.hpp writes: ustar members, pax records "path" and "size" before
/// them, two zero blocks at the end. Strict: anything else (links, devices, another format, a wrong
/// checksum, a missing end) is an Error (corrupt) with `name` in it.
std::vector<TarMember> read_tar(ByteView archive, const std::string& name);

}  // namespace ark
