#include "core/repo/object.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

// One of zstd's sixteen skippable magics; which one says nothing to zstd.
constexpr uint32_t kHeaderMagic = 0x184D2A5A;
constexpr std::string_view kHeaderTag = "PGARKHDR";
constexpr size_t kHeaderPrefix = 4 + 4 + 8 + 4;  // magic, length, tag, CRC
constexpr int kFormat = 1;

constexpr std::array<const char*, 8> kKindNames{"wal",      "partial", "pack",   "index",
                                                "manifest", "config",  "census", "tail"};

ObjectKind kind_of(const std::string& text, const std::string& name) {
    const auto found = std::find(kKindNames.begin(), kKindNames.end(), text);
    if (found == kKindNames.end()) {
        throw Error(ErrorCode::unsupported,
                    "object \"" + name + "\" is of unknown kind \"" + text + "\"");
    }
    return static_cast<ObjectKind>(found - kKindNames.begin());
}

std::string trimmed_file(const char* path) {
    const auto content = read_file_if_exists(path, 4096);
    if (!content)
        return {};
    std::string text(as_text(*content));
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    return text;
}

Error corrupt_object(const std::string& name, const std::string& what) {
    return {ErrorCode::corrupt, "object \"" + name + "\" is damaged", what,
            "Do not delete it before the cause is known; other copies or backups may hold the same "
            "data."};
}

ObjectHeader header_of_json(const json& j, const std::string& name) {
    if (member<int>(j, "format") != kFormat) {
        throw Error(ErrorCode::unsupported,
                    "object \"" + name + "\" has a format that this version does not read", {},
                    "Use a newer pg_ark.");
    }
    ObjectHeader h;
    h.kind = kind_of(member<std::string>(j, "kind"), name);
    h.place = text_member(j, "place");
    h.cipher = member<std::string>(j, "cipher");
    if (h.cipher != "none") {
        throw Error(ErrorCode::unsupported, "object \"" + name + "\" is encrypted with " + h.cipher,
                    {}, "Use a newer pg_ark.");
    }
    if (j.contains("plain_bytes"))
        h.plain_bytes = member<uint64_t>(j, "plain_bytes");
    if (j.contains("xxh128"))
        h.hash = parse_hash128(member<std::string>(j, "xxh128"));
    if (j.contains("durable_bytes"))
        h.durable_bytes = member<uint64_t>(j, "durable_bytes");
    const json& w = j.at("writer");
    h.writer.host = text_member(w, "host");
    h.writer.boot_id = text_member(w, "boot_id");
    h.writer.data_directory = text_member(w, "data_directory");
    h.writer.time = parse_time(member<std::string>(w, "time"), false).value_or(0);
    if (w.contains("directory_id"))
        h.writer.directory_id = text_member(w, "directory_id");
    return h;
}

// Every frame behind the header, appended; each is checked by zstd's own content checksum.
Bytes open_frames(ByteView stored, size_t offset, uint64_t plain_bytes, const std::string& name) {
    FrameDecompressor decompressor;
    Bytes plain(plain_bytes);
    size_t done = 0;
    while (offset < stored.size()) {
        const auto length = frame_length(stored.subspan(offset), name);
        if (!length)
            throw corrupt_object(name, "It ends in the middle of a frame.");
        done += decompressor.decompress(stored.subspan(offset, *length),
                                        MutableByteView(plain).subspan(done), name);
        offset += *length;
    }
    if (done != plain_bytes) {
        throw corrupt_object(name, "It holds " + std::to_string(done) + " bytes, its header says " +
                                       std::to_string(plain_bytes) + ".");
    }
    return plain;
}

// A header that promises the right content is not the content: before anybody is told that an
// object is safe it has been written by us or read back. Rare, so its cost doesn't matter.
void check_whole(ObjectStore& store, const std::string& name, ObjectKind kind,
                 const std::string& place, uint64_t plain_bytes) {
    const uint64_t limit = 2 * plain_bytes + kMaxHeaderBytes + FrameCompressor::max_frame_bytes();
    const std::optional<Bytes> stored = store.get(name, limit);
    if (!stored)
        throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    open_object(*stored, kind, place, plain_bytes);
}

}  // namespace

const char* name_of(ObjectKind kind) noexcept {
    return kKindNames[static_cast<size_t>(kind)];
}

Writer make_writer(const std::string& data_directory) {
    Writer writer;
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) == 0)
        writer.host = host.data();
    writer.boot_id = trimmed_file("/proc/sys/kernel/random/boot_id");
    writer.data_directory = data_directory;
    writer.time = now_micros();
    struct stat st {};
    if (!data_directory.empty() && stat(data_directory.c_str(), &st) == 0)
        writer.directory_id = std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino);
    return writer;
}

bool same_data_directory(const Writer& a, const Writer& b) {
    return !a.boot_id.empty() && a.boot_id == b.boot_id && !a.directory_id.empty() &&
           a.directory_id == b.directory_id;
}

std::string describe(const Writer& writer) {
    std::string text = "host " + (writer.host.empty() ? "(unknown)" : writer.host);
    if (!writer.data_directory.empty()) {
        text += ", data directory \"" + writer.data_directory + "\"";
    }
    return text + ", at " + to_iso8601(writer.time);
}

Bytes encode_header(const ObjectHeader& header) {
    json j{{"format", kFormat},
           {"kind", name_of(header.kind)},
           {"place", json_of_text(header.place)},
           {"cipher", header.cipher},
           {"writer",
            {{"host", json_of_text(header.writer.host)},
             {"boot_id", json_of_text(header.writer.boot_id)},
             {"data_directory", json_of_text(header.writer.data_directory)},
             {"directory_id", json_of_text(header.writer.directory_id)},
             {"time", to_iso8601(header.writer.time)}}}};
    if (header.plain_bytes)
        j["plain_bytes"] = *header.plain_bytes;
    if (header.hash.is_known())
        j["xxh128"] = to_text(header.hash);
    if (header.durable_bytes)
        j["durable_bytes"] = *header.durable_bytes;
    const std::string text = j.dump();
    Bytes out(kHeaderPrefix + text.size());
    store<uint32_t>(out, 0, kHeaderMagic);
    store<uint32_t>(out, 4, static_cast<uint32_t>(out.size() - 8));
    std::memcpy(out.data() + 8, kHeaderTag.data(), kHeaderTag.size());
    store<uint32_t>(out, 16, crc32c(0, as_bytes(text)));
    std::memcpy(out.data() + kHeaderPrefix, text.data(), text.size());
    if (out.size() > kMaxHeaderBytes) {
        throw Error(ErrorCode::internal, "object header of \"" + header.place + "\" is too long");
    }
    return out;
}

ParsedHeader parse_header(ByteView stored, const std::string& name) {
    if (stored.size() < kHeaderPrefix || load<uint32_t>(stored, 0) != kHeaderMagic ||
        as_text(stored.subspan(8, 8)) != kHeaderTag) {
        throw corrupt_object(name, "It does not begin with an object header.");
    }
    const size_t frame_bytes = 8 + static_cast<size_t>(load<uint32_t>(stored, 4));
    if (frame_bytes < kHeaderPrefix || frame_bytes > kMaxHeaderBytes ||
        frame_bytes > stored.size()) {
        throw corrupt_object(name, "Its header is cut short or has an impossible length.");
    }
    const ByteView text = stored.subspan(kHeaderPrefix, frame_bytes - kHeaderPrefix);
    if (crc32c(0, text) != load<uint32_t>(stored, 16)) {
        throw corrupt_object(name, "Its header does not match the header's checksum.");
    }
    return {with_parsed_json(as_text(text), name,
                             [&](const json& j) { return header_of_json(j, name); }),
            frame_bytes};
}

ByteView ObjectSealer::seal(const ObjectHeader& header, ByteView plaintext) {
    const Bytes head = encode_header(header);
    const auto make_room = [&](size_t size) {
        if (buffer_.size() < size)
            buffer_.resize(size);
    };
    // Once, rather than twice as much whenever it grows; what is not used takes no memory.
    const size_t frames = (plaintext.size() + kFrameBytes - 1) / kFrameBytes;
    buffer_.reserve(head.size() + frames * FrameCompressor::max_frame_bytes());
    make_room(head.size());
    std::ranges::copy(head, buffer_.begin());
    size_t done = head.size();
    while (!plaintext.empty()) {
        const ByteView piece = plaintext.first(std::min(plaintext.size(), kFrameBytes));
        make_room(done + FrameCompressor::max_frame_bytes());
        done += compressor_.compress(piece, MutableByteView(buffer_).subspan(done));
        plaintext = plaintext.subspan(piece.size());
    }
    return ByteView(buffer_).first(done);
}

Bytes seal_object(const ObjectHeader& header, ByteView plaintext, int level) {
    ObjectSealer sealer(level);
    const ByteView sealed = sealer.seal(header, plaintext);
    return {sealed.begin(), sealed.end()};
}

Bytes open_object(ByteView stored, ObjectKind kind, const std::string& place, uint64_t limit) {
    const ParsedHeader parsed = parse_header(stored, place);
    const ObjectHeader& h = parsed.header;
    if (h.kind != kind || h.place != place) {
        throw corrupt_object(place, "Its header says that it is \"" + h.place + "\" (" +
                                        name_of(h.kind) + "): it is in the wrong place.");
    }
    if (!h.plain_bytes || !h.hash.is_known() || *h.plain_bytes > limit) {
        throw corrupt_object(place, "Its header gives no size and digest, or an impossible size.");
    }
    Bytes plain = open_frames(stored, parsed.frame_bytes, *h.plain_bytes, place);
    if (content_hash(plain) != h.hash) {
        throw corrupt_object(place, "Its content does not match the digest in its header.");
    }
    return plain;
}

std::optional<ObjectHeader> read_header(ObjectStore& store, const std::string& name) {
    Bytes buffer(kMaxHeaderBytes);
    try {
        buffer.resize(store.get_range(name, 0, buffer));
    } catch (const Error& error) {
        if (error.code != ErrorCode::not_found)
            throw;
        return std::nullopt;
    }
    return parse_header(buffer, name).header;
}

StoreResult store_object(ObjectStore& store, const std::string& prefix, ObjectKind kind,
                         const std::string& place, ByteView plaintext, const Writer& writer,
                         int level) {
    ObjectSealer sealer(level);
    return store_object(store, prefix, kind, place, plaintext, writer, sealer, true);
}

StoreResult store_object(ObjectStore& store, const std::string& prefix, ObjectKind kind,
                         const std::string& place, ByteView plaintext, const Writer& writer,
                         ObjectSealer& sealer, bool look_first, const std::function<void()>& sealed,
                         std::optional<uint64_t> durable_bytes) {
    const uint64_t plain_bytes = plaintext.size();
    const ObjectHeader header{kind,   place,        "none", plain_bytes, content_hash(plaintext),
                              writer, durable_bytes};
    const std::string name = prefix + "/" + place;
    std::optional<ObjectHeader> there =
        look_first ? read_header(store, name) : std::optional<ObjectHeader>();
    if (!there) {
        const ByteView content = sealer.seal(header, plaintext);
        sealed();
        if (store.put_if_absent(name, content) == PutResult::created)
            return StoreResult::stored;
        there = read_header(store, name);
        if (!there)
            throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    }
    if (there->hash == header.hash && there->plain_bytes == header.plain_bytes &&
        there->kind == kind && there->place == place) {
        check_whole(store, name, kind, place, plain_bytes);
        // Who put it there may have died before the last fsync.
        store.make_durable(name);
        return StoreResult::present;
    }
    throw Error(ErrorCode::conflict,
                "object \"" + name + "\" is in the repository with other content",
                "It was written by " + describe(there->writer) + ". The writer now is " +
                    describe(writer) + ".",
                "Two clusters with one system identifier must not use one place: give one of them "
                "another pg_ark.cluster or repository, or stop it.");
}

StoreResult store_plain(ObjectStore& store, const std::string& name, ByteView content,
                        const Writer& writer) {
    constexpr uint64_t kLimit = 64 << 20;
    if (store.put_if_absent(name, content) == PutResult::created)
        return StoreResult::stored;
    const std::optional<Bytes> there = store.get(name, kLimit);
    if (!there)
        throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    if (std::ranges::equal(*there, content))
        return StoreResult::present;
    throw Error(ErrorCode::conflict,
                "object \"" + name + "\" is in the repository with other content",
                "The writer now is " + describe(writer) + ".",
                "Two clusters with one system identifier must not use one place: give one of them "
                "another pg_ark.cluster or repository, or stop it.");
}

}  // namespace ark
