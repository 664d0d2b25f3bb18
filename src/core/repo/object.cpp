#include "core/repo/object.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/crypto/base64.hpp"
#include "core/pipeline/digest.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/vault.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

using nlohmann::json;

// One of zstd's sixteen skippable magics; which one says nothing to zstd.
constexpr uint32_t kHeaderMagic = 0x184D2A5A;
constexpr std::string_view kHeaderTag = "PGARKHDR";
constexpr size_t kHeaderPrefix = 4 + 4 + 8 + 4;  // magic, length, tag, CRC
constexpr int kFormat = 1;
// Of markers, histories, evidence and the audit log, which are small.
constexpr int kSmallLevel = 3;
constexpr uint64_t kSmallLimit = 64 << 20;

constexpr std::array<const char*, 16> kKindNames{
    "wal",     "partial", "pack",     "index",   "manifest", "config",   "census",  "tail",
    "changes", "part",    "verified", "answers", "marker",   "evidence", "history", "audit"};

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

Bytes bytes_of_json(const json& object, const char* key, size_t size) {
    const SecretBytes bytes = exact_base64(member<std::string>(object, key), size);
    if (bytes.empty())
        throw json::type_error::create(302, std::string(key) + ": not base64", nullptr);
    return {bytes.begin(), bytes.end()};
}

WrappedDataKey data_key_of_json(const json& j) {
    WrappedDataKey out;
    out.key_id = member<std::string>(j, "key");
    if (!is_key_id(out.key_id))
        throw json::type_error::create(302, "key: not a key's id", nullptr);
    if (j.contains("wrapped")) {
        out.wrapped = bytes_of_json(j, "wrapped", kKeyBytes + 8);
    } else {
        out.sealed.enc = bytes_of_json(j, "enc", kKeyBytes);
        out.sealed.sealed = bytes_of_json(j, "sealed", kKeyBytes + AesGcm::kTagBytes);
    }
    return out;
}

json json_of_data_key(const WrappedDataKey& key) {
    if (!key.wrapped.empty())
        return {{"key", key.key_id}, {"wrapped", to_base64(key.wrapped)}};
    return {{"key", key.key_id},
            {"enc", to_base64(key.sealed.enc)},
            {"sealed", to_base64(key.sealed.sealed)}};
}

json json_of_range(const BackupRange& range) {
    return {{"timeline", range.timeline},
            {"start_lsn", to_text(range.start)},
            {"stop_lsn", to_text(range.stop)}};
}

BackupRange range_of_json(const json& j) {
    const auto start = parse_lsn(member<std::string>(j, "start_lsn"));
    const auto stop = parse_lsn(member<std::string>(j, "stop_lsn"));
    if (!start || !stop)
        throw json::type_error::create(302, "range: not an LSN", nullptr);
    return {member<uint32_t>(j, "timeline"), *start, *stop};
}

// What only encrypted objects have in their headers.
void encryption_of_json(const json& j, ObjectHeader& h) {
    if (j.contains("tag")) {
        h.tag = member<std::string>(j, "tag");
        if (from_hex(h.tag).size() != 32 || h.tag != to_hex(from_hex(h.tag)))
            throw json::type_error::create(302, "tag: not 32 bytes", nullptr);
    }
    const json& keys = j.at("data_key");
    if (!keys.is_array() || keys.empty() || keys.size() > kMaxRecipients + 1)
        throw json::type_error::create(302, "data_key: not a list, or too long", nullptr);
    for (const json& key : keys)
        h.data_keys.push_back(data_key_of_json(key));
    if (j.contains("range"))
        h.range = range_of_json(j.at("range"));
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
    if (h.cipher == kCipherAesGcm) {
        encryption_of_json(j, h);
    } else if (h.is_encrypted()) {
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

// What its frames can hold, up to what the header promises: whoever can write here can promise a
// gigabyte, which would be taken for nothing.
uint64_t room_for(ByteView stored, size_t offset, uint64_t plain_bytes, const std::string& name) {
    uint64_t room = 0;
    while (room < plain_bytes && offset < stored.size()) {
        offset += frame_length(stored.subspan(offset), name).value_or(stored.size() - offset);
        room += kFrameBytes;
    }
    return std::min(room, plain_bytes);
}

// Every frame behind the header, appended; each is checked by zstd's own content checksum, and
// where it is encrypted by its tag.
Bytes open_frames(ByteView stored, size_t offset, uint64_t plain_bytes, FrameCipher* cipher,
                  const std::string& name) {
    FrameDecompressor decompressor;
    Bytes plain(room_for(stored, offset, plain_bytes, name));
    size_t done = 0;
    uint64_t frames = 0;
    bool ended = cipher == nullptr;
    while (offset < stored.size()) {
        const auto length = frame_length(stored.subspan(offset), name);
        if (!length)
            throw corrupt_object(name, "It ends in the middle of a frame.");
        ByteView frame = stored.subspan(offset, *length);
        if (cipher != nullptr && ended)
            throw corrupt_object(name, "It goes on behind its last frame.");
        ended = ended || is_end_frame(frame);
        if (cipher != nullptr && ended) {
            cipher->check_end(frame, offset, done, frames, name);
        } else {
            if (cipher != nullptr)
                frame = cipher->open(frame, offset, name);
            done += decompressor.decompress(frame, MutableByteView(plain).subspan(done), name);
            ++frames;
        }
        offset += *length;
    }
    if (!ended)
        throw corrupt_object(name, "It has no last frame: it was cut off.");
    if (done != plain_bytes) {
        throw corrupt_object(name, "It holds " + std::to_string(done) + " bytes, its header says " +
                                       std::to_string(plain_bytes) + ".");
    }
    return plain;
}

// A header that promises the right content is not the content: before anybody is told that an
// object is safe it has been written by us or read back. Rare, so its cost doesn't matter. Who
// cannot read it looks at every frame's checksum, and whether the last one is there.
void check_whole(ObjectStore& store, const std::string& name, ObjectKind kind,
                 const std::string& place, uint64_t plain_bytes, const Vault* vault) {
    const uint64_t limit = 2 * plain_bytes + kMaxHeaderBytes + FrameCompressor::max_frame_bytes();
    const std::optional<Bytes> stored = store.get(name, limit);
    if (!stored)
        throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    const ParsedHeader parsed = parse_header(*stored, name);
    if (parsed.header.is_encrypted() && vault != nullptr && !vault->can_read()) {
        check_sealed_frames(*stored, parsed.frame_bytes, name);
    } else {
        open_object(*stored, kind, place, plain_bytes, vault);
    }
}

Error other_content(const std::string& name, const std::string& detail) {
    return {ErrorCode::conflict, "object \"" + name + "\" is in the repository with other content",
            detail,
            "Two clusters with one system identifier must not use one place: give one of them "
            "another pg_ark.cluster or repository, or stop it."};
}

Error not_comparable(const std::string& name, const Writer& writer) {
    return {ErrorCode::conflict,
            "object \"" + name + "\" is in the repository, encrypted, and cannot be compared",
            "It was written by " + describe(writer) + ". This writer has no key.",
            "Give it the key that the object was written with."};
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
    if (!header.tag.empty())
        j["tag"] = header.tag;
    for (const WrappedDataKey& key : header.data_keys)
        j["data_key"].push_back(json_of_data_key(key));
    if (header.range)
        j["range"] = json_of_range(*header.range);
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

bool begins_with_header(ByteView stored) {
    return stored.size() >= 4 && load<uint32_t>(stored, 0) == kHeaderMagic;
}

Bytes digest_of_header(ByteView encoded) {
    return from_hex(sha256_hex(encoded.subspan(kHeaderPrefix)));
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
    ParsedHeader out{with_parsed_json(as_text(text), name,
                                      [&](const json& j) { return header_of_json(j, name); }),
                     frame_bytes,
                     {}};
    if (out.header.is_encrypted())
        out.digest = digest_of_header(stored.first(frame_bytes));
    return out;
}

ByteView ObjectSealer::seal(const ObjectHeader& plain_header, ByteView plaintext,
                            const Vault* vault) {
    ObjectHeader header = plain_header;
    const bool encrypts = vault != nullptr && vault->encrypts();
    const SecretBytes data_key = encrypts ? vault->begin_object(header) : SecretBytes();
    const Bytes head = encode_header(header);
    std::optional<FrameCipher> cipher;
    if (encrypts)
        cipher.emplace(vault->cipher(data_key, digest_of_header(head)));
    const size_t before = encrypts ? FrameCipher::kBefore : 0;
    const size_t most =
        FrameCompressor::max_frame_bytes() + (encrypts ? FrameCipher::kOverhead : 0);
    const auto make_room = [&](size_t size) {
        if (buffer_.size() < size)
            buffer_.resize(size);
    };
    // Once, rather than twice as much whenever it grows; what is not used takes no memory.
    const size_t frames = (plaintext.size() + kFrameBytes - 1) / kFrameBytes;
    buffer_.reserve(head.size() + frames * most + (encrypts ? FrameCipher::kEndFrameBytes : 0));
    make_room(head.size());
    std::ranges::copy(head, buffer_.begin());
    size_t done = head.size();
    const uint64_t plain_bytes = plaintext.size();
    while (!plaintext.empty()) {
        const ByteView piece = plaintext.first(std::min(plaintext.size(), kFrameBytes));
        make_room(done + most);
        const MutableByteView frame = MutableByteView(buffer_).subspan(done, most);
        const size_t n = compressor_.compress(piece, frame.subspan(before));
        done += cipher ? cipher->seal(frame.subspan(before, n), done, frame) : n;
        plaintext = plaintext.subspan(piece.size());
    }
    if (cipher) {
        make_room(done + FrameCipher::kEndFrameBytes);
        done += cipher->seal_end(plain_bytes, frames, done, MutableByteView(buffer_).subspan(done));
    }
    return ByteView(buffer_).first(done);
}

Bytes seal_object(const ObjectHeader& header, ByteView plaintext, int level) {
    ObjectSealer sealer(level);
    const ByteView sealed = sealer.seal(header, plaintext);
    return {sealed.begin(), sealed.end()};
}

std::optional<bool> has_content(const ObjectHeader& header, uint64_t plain_bytes,
                                const Hash128& hash, const Vault* vault) {
    if (header.plain_bytes != plain_bytes)
        return false;
    if (!header.is_encrypted())
        return header.hash == hash;
    if (vault == nullptr)
        return std::nullopt;
    return equal_in_constant_time(as_bytes(header.tag),
                                  as_bytes(vault->tag_of(header, plain_bytes, hash)));
}

Bytes open_object(ByteView stored, ObjectKind kind, const std::string& place, uint64_t limit,
                  const Vault* vault) {
    const ParsedHeader parsed = parse_header(stored, place);
    const ObjectHeader& h = parsed.header;
    if (h.kind != kind || h.place != place) {
        throw corrupt_object(place, "Its header says that it is \"" + h.place + "\" (" +
                                        name_of(h.kind) + "): it is in the wrong place.");
    }
    const bool has_digest = h.is_encrypted() ? !h.tag.empty() : h.hash.is_known();
    if (!h.plain_bytes || !has_digest || *h.plain_bytes > limit) {
        throw corrupt_object(place, "Its header gives no size and digest, or an impossible size.");
    }
    const std::unique_ptr<FrameCipher> cipher = cipher_of(vault, parsed, place);
    Bytes plain = open_frames(stored, parsed.frame_bytes, *h.plain_bytes, cipher.get(), place);
    if (!has_content(h, plain.size(), content_hash(plain), vault).value_or(false)) {
        throw corrupt_object(place, "Its content does not match the digest in its header.");
    }
    return plain;
}

std::optional<ObjectHeader> read_header(ObjectStore& store, const std::string& name) {
    std::optional<ParsedHeader> parsed = read_parsed_header(store, name);
    if (!parsed)
        return std::nullopt;
    return std::move(parsed->header);
}

std::optional<ParsedHeader> read_parsed_header(ObjectStore& store, const std::string& name) {
    Bytes buffer(kMaxHeaderBytes);
    try {
        buffer.resize(store.get_range(name, 0, buffer));
    } catch (const Error& error) {
        if (error.code != ErrorCode::not_found)
            throw;
        return std::nullopt;
    }
    return parse_header(buffer, name);
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
    const ObjectHeader header{
        kind, place, kCipherNone, plain_bytes, content_hash(plaintext), writer, durable_bytes};
    const std::shared_ptr<const Vault> vault = vault_of(store, prefix);
    const std::string name = prefix + "/" + place;
    std::optional<ObjectHeader> there =
        look_first ? read_header(store, name) : std::optional<ObjectHeader>();
    if (!there) {
        const ByteView content = sealer.seal(header, plaintext, vault.get());
        sealed();
        if (store.put_if_absent(name, content) == PutResult::created)
            return StoreResult::stored;
        there = read_header(store, name);
        if (!there)
            throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    }
    const std::optional<bool> same = has_content(*there, plain_bytes, header.hash, vault.get());
    if (!same)
        throw not_comparable(name, there->writer);
    if (*same && there->kind == kind && there->place == place) {
        check_whole(store, name, kind, place, plain_bytes, vault.get());
        // Who put it there may have died before the last fsync.
        store.make_durable(name);
        return StoreResult::present;
    }
    throw other_content(name, "It was written by " + describe(there->writer) +
                                  ". The writer now is " + describe(writer) + ".");
}

StoreResult store_small(ObjectStore& store, const std::string& prefix, ObjectKind kind,
                        const std::string& place, ByteView content, const Writer& writer,
                        const std::optional<BackupRange>& range) {
    const std::string name = prefix + "/" + place;
    const std::shared_ptr<const Vault> vault = vault_of(store, prefix);
    const bool encrypts = vault && vault->encrypts();
    const auto sealed = [&] {
        ObjectSealer sealer(kSmallLevel);
        ObjectHeader header{kind,  place, kCipherNone, content.size(), content_hash(content),
                            writer};
        header.range = range;
        const ByteView bytes = sealer.seal(header, content, vault.get());
        return Bytes(bytes.begin(), bytes.end());
    };
    const PutResult result =
        encrypts ? store.put_if_absent(name, sealed()) : store.put_if_absent(name, content);
    if (result == PutResult::created)
        return StoreResult::stored;
    const std::optional<Bytes> there = store.get(name, kSmallLimit);
    if (!there)
        throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    std::optional<bool> same;
    if (!begins_with_header(*there)) {
        same = std::ranges::equal(*there, content);
    } else {
        const ObjectHeader header = parse_header(*there, name).header;
        same = has_content(header, content.size(), content_hash(content), vault.get());
        if (!same)
            throw not_comparable(name, header.writer);
        if (*same)
            check_whole(store, name, kind, place, content.size(), vault.get());
    }
    if (*same)
        return StoreResult::present;
    throw other_content(name, "The writer now is " + describe(writer) + ".");
}

std::optional<Bytes> read_small(ObjectStore& store, const std::string& prefix, ObjectKind kind,
                                const std::string& place, uint64_t limit, bool* is_encrypted) {
    const std::string name = prefix + "/" + place;
    std::optional<Bytes> stored = store.get(name, limit + kMaxHeaderBytes);
    if (!stored)
        return std::nullopt;
    const std::shared_ptr<const Vault> vault = vault_of(store, prefix);
    const bool has_header = begins_with_header(*stored);
    if (is_encrypted != nullptr)
        *is_encrypted = has_header && parse_header(*stored, name).header.is_encrypted();
    if (has_header)
        return open_object(*stored, kind, place, limit, vault.get());
    if (vault)
        vault->check_is_encrypted(false, place, name);
    return stored;
}

}  // namespace ark
