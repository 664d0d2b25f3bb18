#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/crc32c.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/index.hpp"

namespace ark::test {

/// The content of a file, read as docs/repository-format.md tells a reader to; what the format
/// promises about frames is checked on the way.
inline Bytes content_of(ObjectStore& store, const std::string& cluster,
                        const std::string& backup_id, const IndexEntry& entry) {
    Bytes content;
    FrameDecompressor decompressor;
    const std::string pack = cluster + "/" + place::pack(backup_id, entry.pack);
    for (size_t i = 0; i < entry.frames.size(); ++i) {
        Bytes stored(entry.frames[i].stored);
        EXPECT_EQ(store.get_range(pack, entry.frames[i].offset, stored), stored.size());
        EXPECT_EQ(frame_length(stored, pack), stored.size()) << entry.path << " frame " << i;
        Bytes plain(kFrameBytes);
        plain.resize(decompressor.decompress(stored, plain, pack));
        const size_t skip = i == 0 ? entry.skip : 0;
        EXPECT_LE(skip, plain.size());
        const size_t take = std::min<size_t>(plain.size() - skip, entry.size - content.size());
        EXPECT_GT(take, 0U) << entry.path << " has a frame too many";
        content.insert(content.end(), plain.begin() + static_cast<ptrdiff_t>(skip),
                       plain.begin() + static_cast<ptrdiff_t>(skip + take));
    }
    EXPECT_EQ(content.size(), entry.size) << entry.path;
    EXPECT_EQ(crc32c(0, content), entry.crc32c) << entry.path;
    return content;
}

/// The plaintext of a pack, as `zstd -d` gives it: a tar archive.
inline Bytes tar_of(ObjectStore& store, const std::string& name) {
    const Bytes object = *store.get(name, 1ULL << 32);
    Bytes tar;
    FrameDecompressor decompressor;
    Bytes plain(kFrameBytes);
    for (size_t at = 0; at < object.size();) {
        const ByteView rest = ByteView(object).subspan(at);
        const size_t length = frame_length(rest, name).value();
        const size_t n = decompressor.decompress(rest.first(length), plain, name);
        tar.insert(tar.end(), plain.begin(), plain.begin() + static_cast<ptrdiff_t>(n));
        at += length;
    }
    return tar;
}

}  // namespace ark::test
