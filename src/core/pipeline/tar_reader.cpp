#include "core/pipeline/tar_reader.hpp"

#include <charconv>
#include <optional>

#include "core/base/error.hpp"
#include "core/pipeline/tar_writer.hpp"

namespace ark {

namespace {

// Places in struct posix_header; pipeline/tar_writer.cpp has the whole of it.
constexpr size_t kNameSize = 100;
constexpr size_t kPrefixSize = 155;
constexpr size_t kModeAt = 100;
constexpr size_t kSizeAt = 124;
constexpr size_t kChecksumAt = 148;
constexpr size_t kChecksumSize = 8;
constexpr size_t kTypeAt = 156;
constexpr size_t kMagicAt = 257;
constexpr size_t kPrefixAt = 345;

class TarReader {
 public:
    TarReader(ByteView archive, const std::string& name) : rest_(archive), name_(name) {}

    std::vector<TarMember> read() {
        std::vector<TarMember> members;
        for (;;) {
            const ByteView header = take(kTarBlock);
            if (is_all_zero(header)) {
                if (!is_all_zero(take(kTarBlock)))
                    throw damaged("one zero block, not two, ends it");
                return members;
            }
            check(header);
            const char type = static_cast<char>(header[kTypeAt]);
            if (type == 'x') {
                read_pax(content(octal(header, kSizeAt, 12)));
            } else {
                members.push_back(member(header, type));
            }
        }
    }

 private:
    Error damaged(const std::string& what) const {
        return {ErrorCode::corrupt, "tar archive \"" + name_ + "\" is damaged", what};
    }

    ByteView take(uint64_t bytes) {
        if (bytes > rest_.size())
            throw damaged("It ends too early.");
        const ByteView out = rest_.first(bytes);
        rest_ = rest_.subspan(bytes);
        return out;
    }
    ByteView content(uint64_t bytes) {
        const ByteView out = take(bytes);
        take(tar_padding(bytes));
        return out;
    }

    static std::string text(ByteView block, size_t at, size_t size) {
        const std::string_view field = as_text(block.subspan(at, size));
        return std::string(field.substr(0, field.find('\0')));
    }

    uint64_t octal(ByteView block, size_t at, size_t size) const {
        const std::string digits = text(block, at, size);
        const size_t begin = digits.find_first_not_of(' ');
        const size_t end = digits.find_last_not_of(' ');
        uint64_t value = 0;
        if (begin == std::string::npos)
            throw damaged("A number is missing in a header.");
        const char* last = digits.data() + end + 1;
        const auto result = std::from_chars(digits.data() + begin, last, value, 8);
        if (result.ec != std::errc{} || result.ptr != last) {
            throw damaged("A number in a header is not octal.");
        }
        return value;
    }

    void check(ByteView header) const {
        if (text(header, kMagicAt, 6) != "ustar")
            throw damaged("A header is not in ustar format.");
        uint64_t sum = 0;
        for (size_t i = 0; i < header.size(); ++i) {
            const bool in_checksum = i >= kChecksumAt && i < kChecksumAt + kChecksumSize;
            sum += in_checksum ? ' ' : std::to_integer<uint64_t>(header[i]);
        }
        if (sum != octal(header, kChecksumAt, kChecksumSize)) {
            throw damaged("A header's checksum is wrong.");
        }
    }

    // "<length> key=value\n", repeated.
    void read_pax(ByteView records) {
        std::string_view rest = as_text(records);
        while (!rest.empty()) {
            size_t length = 0;
            const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), length);
            const auto digits = static_cast<size_t>(result.ptr - rest.data());
            if (result.ec != std::errc{} || length > rest.size() || length < digits + 3 ||
                rest[digits] != ' ' || rest[length - 1] != '\n') {
                throw damaged("A pax record has a wrong length.");
            }
            const std::string_view record = rest.substr(digits + 1, length - digits - 2);
            const size_t equals = record.find('=');
            if (equals == std::string_view::npos)
                throw damaged("A pax record has no value.");
            note_pax(record.substr(0, equals), record.substr(equals + 1));
            rest.remove_prefix(length);
        }
    }

    void note_pax(std::string_view key, std::string_view value) {
        if (key == "path") {
            pax_path_ = std::string(value);
            return;
        }
        uint64_t size = 0;
        const char* end = value.data() + value.size();
        const auto parsed = std::from_chars(value.data(), end, size);
        if (key != "size" || parsed.ec != std::errc{} || parsed.ptr != end) {
            throw damaged("It has a pax record \"" + std::string(key) + "\".");
        }
        pax_size_ = size;
    }

    TarMember member(ByteView header, char type) {
        if (type != '0' && type != '5') {
            throw damaged("It has a member that is neither file nor directory.");
        }
        TarMember out;
        out.is_directory = type == '5';
        out.mode = static_cast<uint32_t>(octal(header, kModeAt, 8)) & 07777;
        const std::string prefix = text(header, kPrefixAt, kPrefixSize);
        out.path =
            pax_path_.value_or((prefix.empty() ? "" : prefix + "/") + text(header, 0, kNameSize));
        if (out.is_directory && out.path.ends_with('/'))
            out.path.pop_back();
        if (out.path.empty())
            throw damaged("It has a member without a name.");
        out.content = content(pax_size_.value_or(octal(header, kSizeAt, 12)));
        pax_path_.reset();
        pax_size_.reset();
        return out;
    }

    ByteView rest_;
    const std::string& name_;
    std::optional<std::string> pax_path_;
    std::optional<uint64_t> pax_size_;
};

}  // namespace

std::vector<TarMember> read_tar(ByteView archive, const std::string& name) {
    return TarReader(archive, name).read();
}

}  // namespace ark
