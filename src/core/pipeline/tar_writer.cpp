#include "core/pipeline/tar_writer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

namespace ark {

namespace {

// struct posix_header: name 100, mode 8, uid 8, gid 8, size 12, mtime 12, chksum 8, typeflag 1,
// linkname 100, magic 6, version 2, uname 32, gname 32, devmajor 8, devminor 8, prefix 155.
constexpr size_t kNameSize = 100;
constexpr size_t kPrefixSize = 155;
constexpr size_t kModeAt = 100;
constexpr size_t kUidAt = 108;
constexpr size_t kGidAt = 116;
constexpr size_t kSizeAt = 124;
constexpr size_t kMtimeAt = 136;
constexpr size_t kChecksumAt = 148;
constexpr size_t kTypeAt = 156;
constexpr size_t kMagicAt = 257;
constexpr size_t kPrefixAt = 345;
constexpr uint64_t kLargestOctalSize = 077777777777ULL;

void put_text(Bytes& block, size_t at, std::string_view text) {
    std::memcpy(block.data() + at, text.data(), text.size());
}

// `width` digits and a NUL.
void put_octal(Bytes& block, size_t at, int width, uint64_t value) {
    std::array<char, 24> buffer{};
    const int n = std::snprintf(buffer.data(), buffer.size(), "%0*llo", width,
                                static_cast<unsigned long long>(value));
    put_text(block, at, std::string_view(buffer.data(), static_cast<size_t>(n)));
}

struct SplitPath {
    std::string prefix;
    std::string name;
};

// ustar puts a slash between prefix and name; nullopt where no slash divides the path to fit.
std::optional<SplitPath> split(const std::string& path) {
    if (path.size() <= kNameSize)
        return SplitPath{"", path};
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        const size_t rest = path.size() - slash - 1;
        if (slash <= kPrefixSize && rest <= kNameSize && rest > 0) {
            return SplitPath{path.substr(0, slash), path.substr(slash + 1)};
        }
    }
    return std::nullopt;
}

Bytes header_block(const SplitPath& path, char type, uint64_t bytes, uint32_t mode, int64_t mtime) {
    Bytes block(kTarBlock);
    put_text(block, 0, path.name);
    put_octal(block, kModeAt, 7, mode);
    put_octal(block, kUidAt, 7, 0);
    put_octal(block, kGidAt, 7, 0);
    put_octal(block, kSizeAt, 11, std::min(bytes, kLargestOctalSize));
    put_octal(block, kMtimeAt, 11, static_cast<uint64_t>(std::max<int64_t>(mtime, 0)));
    block[kTypeAt] = static_cast<std::byte>(type);
    put_text(block, kMagicAt, std::string_view("ustar\00000", 8));
    put_text(block, kPrefixAt, path.prefix);
    put_text(block, kChecksumAt, "        ");
    uint32_t sum = 0;
    for (const std::byte b : block)
        sum += std::to_integer<uint32_t>(b);
    put_octal(block, kChecksumAt, 6, sum);
    block[kChecksumAt + 6] = std::byte{0};
    return block;
}

// "<length> key=value\n", where the length counts its own digits.
std::string pax_record(const std::string& key, const std::string& value) {
    const size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (rest + std::to_string(length).size() != length)
        ++length;
    return std::to_string(length) + " " + key + "=" + value + "\n";
}

void append(Bytes& out, ByteView more) {
    out.insert(out.end(), more.begin(), more.end());
}

Bytes member_header(const std::string& path, char type, uint64_t bytes, uint32_t mode,
                    int64_t mtime) {
    const std::optional<SplitPath> fitting = split(path);
    std::string pax;
    if (!fitting)
        pax += pax_record("path", path);
    if (bytes > kLargestOctalSize)
        pax += pax_record("size", std::to_string(bytes));
    Bytes out;
    if (!pax.empty()) {
        out = header_block({"", "pax_header"}, 'x', pax.size(), 0600, mtime);
        append(out, as_bytes(pax));
        out.resize(out.size() + tar_padding(pax.size()));
    }
    append(out, header_block(fitting.value_or(SplitPath{"", path.substr(0, kNameSize)}), type,
                             bytes, mode, mtime));
    return out;
}

}  // namespace

Bytes tar_file_header(const std::string& path, uint64_t bytes, uint32_t mode,
                      int64_t mtime_seconds) {
    return member_header(path, '0', bytes, mode, mtime_seconds);
}

Bytes tar_directory_header(const std::string& path, uint32_t mode) {
    return member_header(path + "/", '5', 0, mode, 0);
}

Bytes tar_end() {
    return Bytes(2 * kTarBlock);
}

}  // namespace ark
