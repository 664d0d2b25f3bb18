#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
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
enum class ObjectKind { wal, partial, pack, index, manifest, config, census, tail };
const char* name_of(ObjectKind kind) noexcept;

/// The clear header of an object, docs/repository-format.md "Object header": a zstd skippable frame
///   u32 magic 0x184D2A5A | u32 length of what follows | "PGARKHDR" | u32 CRC-32C of the JSON |
///   JSON
/// so that `zstd -d` reads over it. `place` is the object's name below the cluster's directory.
struct ObjectHeader {
    ObjectKind kind = ObjectKind::wal;
    std::string place;
    std::string cipher = "none";
    std::optional<uint64_t> plain_bytes;  ///< absent where the object was streamed (packs)
    /// Of the plaintext; not known where streamed. Not SHA-256, which costs a fifth of what
    /// compressing does: who can write here could write a fitting digest too.
    Hash128 hash = {};
    Writer writer;
    /// Pieces of segments: so many bytes from the segment's begin on were durable when this one was
    /// begun. Not known in those of earlier programs.
    std::optional<uint64_t> durable_bytes = {};
};

/// Largest header frame that a reader accepts, and enough to fetch for one.
constexpr size_t kMaxHeaderBytes = 16 * 1024;

Bytes encode_header(const ObjectHeader& header);

struct ParsedHeader {
    ObjectHeader header;
    size_t frame_bytes = 0;  ///< where the data begins
};
/// Error: corrupt when the bytes don't begin with a whole, valid header frame; unsupported for a
/// cipher that this version does not know.
ParsedHeader parse_header(ByteView stored, const std::string& name_for_messages);

/// Makes whole objects in memory, one after another in the same place: fresh memory for each WAL
/// segment costs a sixth of what compressing it does. One thread.
class ObjectSealer {
 public:
    explicit ObjectSealer(int level) : compressor_(level) {}

    /// Header, then zstd frames of at most 1 MiB of plaintext each. Valid until the next call.
    ByteView seal(const ObjectHeader& header, ByteView plaintext);

 private:
    FrameCompressor compressor_;
    Bytes buffer_;
};

/// The same, once.
Bytes seal_object(const ObjectHeader& header, ByteView plaintext, int level);

/// The plaintext of a whole object, everything checked: header, kind, place, every frame, size and
/// digest. Error: corrupt, naming the object and what is wrong with it.
Bytes open_object(ByteView stored, ObjectKind kind, const std::string& place, uint64_t limit);

/// Reads only the header. nullopt when the object is not there.
std::optional<ObjectHeader> read_header(ObjectStore& store, const std::string& name);

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

/// For objects that stay as they are (markers, timeline histories): no header, content compared as
/// a whole. Error: conflict for other content.
StoreResult store_plain(ObjectStore& store, const std::string& name, ByteView content,
                        const Writer& writer);

}  // namespace ark
