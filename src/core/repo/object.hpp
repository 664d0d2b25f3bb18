#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/crypto/hpke.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/pipeline/content_hash.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// Who wrote an object: in its clear header, so that two writers of one name can be told apart.
struct Writer {
    std::string host;
    std::string boot_id;         ///< /proc/sys/kernel/random/boot_id
    std::string data_directory;  ///< canonical path of the cluster's data directory; may be empty
    UnixMicros time = 0;
    /// Which directory that is, whatever it is called: device and inode number, which mean
    /// something while the kernel of `boot_id` runs. "" where it was not known.
    std::string directory_id = {};
};

/// This process as a writer, now. Copy it and set `time` for a later object.
Writer make_writer(const std::string& data_directory);

/// Whether the same data directory of the same running kernel wrote it. A data directory has one
/// server at a time, so whoever is that server knows that such a writer's has ended. False where
/// either is not known. Host names say nothing: each start of a container may bring another, and
/// two may have one.
bool same_data_directory(const Writer& a, const Writer& b);

/// "host db1, data directory \"/var/lib/…\", at 2026-11-20T02:15:00Z": for error details.
std::string describe(const Writer& writer);

/// What the name of an object promises. The header repeats it, so that an object in the wrong place
/// is noticed.
enum class ObjectKind {
    wal,
    partial,
    pack,
    index,
    manifest,
    config,
    census,
    tail,
    changes,
    part,
    verified,
    answers,
    // Objects with a header only where they are encrypted; see store_small.
    marker,
    evidence,
    history,
    audit,
};
const char* name_of(ObjectKind kind) noexcept;

class Vault;  // repo/vault.hpp

constexpr const char* kCipherNone = "none";
constexpr const char* kCipherAesGcm = "aes-256-gcm";

/// An encrypted object's data key, for one key of the keyring: wrapped under it, or sealed to its
/// public half by a writer that cannot read.
struct WrappedDataKey {
    std::string key_id;
    Bytes wrapped;       ///< empty where it is sealed
    HpkeMessage sealed;  ///< empty where it is wrapped
};

/// The WAL that makes a backup's files consistent. Encrypted markers say it in the clear, for hosts
/// that cannot read them. Nothing proves it to those: it is for looking after what they write.
struct BackupRange {
    TimelineId timeline = 0;
    Lsn start = 0;
    Lsn stop = 0;

    bool operator==(const BackupRange&) const = default;
};

/// The clear header of an object, docs/repository-format.md "Object header": a zstd skippable frame
///   u32 magic 0x184D2A5A | u32 length of what follows | "PGARKHDR" | u32 CRC-32C of the JSON |
///   JSON
/// so that `zstd -d` reads over it. `place` is the object's name below the cluster's directory.
struct ObjectHeader {
    ObjectKind kind = ObjectKind::wal;
    std::string place;
    std::string cipher = kCipherNone;
    std::optional<uint64_t> plain_bytes;  ///< absent where the object was streamed (packs)
    /// Of the plaintext; not known where streamed. Not SHA-256, which costs a fifth of what
    /// compressing does: who can write here could write a fitting digest too.
    Hash128 hash = {};
    Writer writer;
    /// Pieces of segments: so many bytes from the segment's begin on were durable when this one was
    /// begun. Not known in those of earlier programs.
    std::optional<uint64_t> durable_bytes = {};
    /// Under a cipher, in the hash's stead: an HMAC of it that only the cluster's own can make.
    std::string tag = {};
    std::vector<WrappedDataKey> data_keys = {};
    std::optional<BackupRange> range = {};  ///< encrypted markers only

    bool is_encrypted() const { return cipher != kCipherNone; }
};

/// Largest header frame that a reader accepts, and enough to fetch for one.
constexpr size_t kMaxHeaderBytes = 16 * 1024;

Bytes encode_header(const ObjectHeader& header);

struct ParsedHeader {
    ObjectHeader header;
    size_t frame_bytes = 0;  ///< where the data begins
    Bytes digest;            ///< SHA-256 of the JSON where the object is encrypted
};
/// Error: corrupt when the bytes don't begin with a whole, valid header frame; unsupported for a
/// cipher that this version does not know.
ParsedHeader parse_header(ByteView stored, const std::string& name_for_messages);
/// False for markers, histories, evidence as they are where nothing is encrypted.
bool begins_with_header(ByteView stored);
/// ParsedHeader's digest of what encode_header returned.
Bytes digest_of_header(ByteView encoded);

/// Makes whole objects in memory, one after another in the same place: fresh memory for each WAL
/// segment costs a sixth of what compressing it does. One thread.
class ObjectSealer {
 public:
    explicit ObjectSealer(int level) : compressor_(level) {}

    /// Header, then zstd frames of at most 1 MiB of plaintext each; encrypted where there is a
    /// vault that encrypts, under a data key that is new each time. Valid until the next call.
    ByteView seal(const ObjectHeader& header, ByteView plaintext, const Vault* vault = nullptr);

 private:
    FrameCompressor compressor_;
    Bytes buffer_;
};

/// The same, once.
Bytes seal_object(const ObjectHeader& header, ByteView plaintext, int level);

/// The plaintext of a whole object, everything checked: header, kind, place, every frame, size and
/// digest. `vault` is the store's (vault_of), which an encrypted object needs. Error: corrupt,
/// naming the object and what is wrong with it; invalid_key without the key.
Bytes open_object(ByteView stored, ObjectKind kind, const std::string& place, uint64_t limit,
                  const Vault* vault = nullptr);

/// Reads only the header. nullopt when the object is not there.
std::optional<ObjectHeader> read_header(ObjectStore& store, const std::string& name);
std::optional<ParsedHeader> read_parsed_header(ObjectStore& store, const std::string& name);

/// Whether an object with this header has such content, as far as its header can be believed;
/// nullopt where it is encrypted and there is no vault to compare with. It need not be readable.
std::optional<bool> has_content(const ObjectHeader& header, uint64_t plain_bytes,
                                const Hash128& hash, const Vault* vault);

enum class StoreResult { stored, present };

/// Puts a whole object under `prefix + "/" + place`; the same name with the same plaintext is
/// `present` (a repeated try, a reply that was lost). Error: conflict for other content; the detail
/// names both writers. `look_first`: whether it is there already is asked before it is compressed.
/// `sealed` is called when the plaintext is not needed any more, and may give its memory away.
/// `durable_bytes` goes into the header; what is there may have another.
StoreResult store_object(
    ObjectStore& store, const std::string& prefix, ObjectKind kind, const std::string& place,
    ByteView plaintext, const Writer& writer, ObjectSealer& sealer, bool look_first,
    const std::function<void()>& sealed = [] {}, std::optional<uint64_t> durable_bytes = {});
StoreResult store_object(ObjectStore& store, const std::string& prefix, ObjectKind kind,
                         const std::string& place, ByteView plaintext, const Writer& writer,
                         int level);

/// For objects that stay as they are (markers, timeline histories, evidence) where nothing is
/// encrypted: no header, content compared as a whole. Where the store's vault encrypts it is an
/// object like any other under the same name, with `range` in its header. Error: conflict for other
/// content.
StoreResult store_small(ObjectStore& store, const std::string& prefix, ObjectKind kind,
                        const std::string& place, ByteView content, const Writer& writer,
                        const std::optional<BackupRange>& range = {});
/// Such an object's content, whichever it is; nullopt when it is not there. Error: as open_object.
std::optional<Bytes> read_small(ObjectStore& store, const std::string& prefix, ObjectKind kind,
                                const std::string& place, uint64_t limit,
                                bool* is_encrypted = nullptr);

}  // namespace ark
