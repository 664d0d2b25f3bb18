#include <algorithm>
#include <cstdio>

#include "core/pipeline/tar_reader.hpp"
#include "core/pipeline/tar_writer.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    Bytes archive = tar_directory_header("etc", 0755);
    append(archive, tar_file_header("etc/postgresql.conf", 5, 0644, 1795140900));
    append(archive, as_bytes("a = 1"));
    archive.resize(archive.size() + tar_padding(5));
    append(archive, tar_file_header(std::string(200, 'p'), 0, 0600, 0));
    append(archive, tar_end());
    return {archive, tar_end()};
}

// What looks like a header gets its checksum.
Bytes mended(ByteView input) {
    constexpr size_t kChecksumAt = 148;
    Bytes out(input.begin(), input.end());
    for (size_t at = 0; at + kTarBlock <= out.size(); at += kTarBlock) {
        if (as_text(ByteView(out).subspan(at + 257, 5)) != "ustar")
            continue;
        const auto field = out.begin() + static_cast<ptrdiff_t>(at + kChecksumAt);
        std::fill(field, field + 8, std::byte{' '});
        unsigned sum = 0;
        for (const std::byte b : ByteView(out).subspan(at, kTarBlock))
            sum += std::to_integer<unsigned>(b);
        std::string text(8, '\0');
        std::snprintf(text.data(), text.size(), "%06o", sum);
        std::ranges::copy(as_bytes(text), field);
    }
    return out;
}

void check(ByteView archive) {
    answers([&] {
        uint64_t bytes = 0;
        for (const TarMember& member : read_tar(archive, "x")) {
            require(!member.path.empty(), "a member has a name");
            bytes += member.content.size();
        }
        require(bytes <= archive.size(), "members are in the archive");
    });
}

void run(ByteView input) {
    check(input);
    check(mended(input));
}

const Target target("tar", seeds, run);

}  // namespace
}  // namespace ark::fuzz
