#include "core/backup/pack_writer.hpp"

#include <algorithm>

#include "core/base/crc32c.hpp"
#include "core/base/fault.hpp"
#include "core/pipeline/tar_writer.hpp"
#include "core/repo/block_checksums.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

// Large enough that a terabyte has a few thousand packs, small enough that the last ones of the
// lanes end about together. A pack may exceed it by one file.
constexpr uint64_t kPackBytes = 256 << 20;

uint64_t full_pack_bytes() {
    return PG_ARK_FAULT_NAMED("backup_small_packs") ? kFrameBytes : kPackBytes;
}

}  // namespace

PackSet::PackSet(Repository& repository, std::string cluster, std::string backup_id, Writer writer,
                 int level)
    : repository_(repository),
      cluster_(std::move(cluster)),
      backup_id_(std::move(backup_id)),
      writer_(std::move(writer)),
      level_(level),
      crew_(level) {}

void PackSet::checksum_blocks(uint32_t block_bytes) {
    if (is_checksummed_size(block_bytes))
        block_bytes_ = block_bytes;
}

PackSet::OpenPack PackSet::open() {
    OpenPack pack;
    {
        const std::lock_guard lock(mutex_);
        pack.number = next_++;
        packs_.resize(next_);
    }
    Writer writer = writer_;
    writer.time = now_micros();
    pack.object =
        std::make_unique<ObjectWriter>(repository_.store(), cluster_, ObjectKind::pack,
                                       place::pack(backup_id_, pack.number), writer, level_, false);
    return pack;
}

void PackSet::finish(OpenPack& pack) {
    const WrittenObject written = pack.object->finish();
    pack.object.reset();
    const std::lock_guard lock(mutex_);
    packs_[pack.number] = {written.stored_bytes, written.stored_sha256};
    PG_ARK_FAULT_POINT("backup_after_pack");
}

// The first line is the backup as it began, the second the pack, the others its files.
void PackSet::describe(uint32_t number, RecordRun& files) {
    Writer writer = writer_;
    writer.time = now_micros();
    ObjectWriter part(repository_.store(), cluster_, ObjectKind::part,
                      place::part(backup_id_, number), writer, level_, true);
    const PackInfo info = [&] {
        const std::lock_guard lock(mutex_);
        return packs_[number];
    }();
    const nlohmann::json pack{
        {"stored_bytes", info.stored_bytes}, {"sha256", info.sha256}, {"server", server_}};
    part.append(as_bytes(nlohmann::json(to_json(*begun_)).dump() + "\n" + pack.dump() + "\n"));
    while (const auto entry = files.next())
        part.append(as_bytes(to_json_line(*entry)));
    part.finish();
    const std::lock_guard lock(mutex_);
    described_.push_back(number);
    PG_ARK_FAULT_POINT("backup_after_part");
}

std::vector<uint32_t> PackSet::described() const {
    const std::lock_guard lock(mutex_);
    return described_;
}

PackWriter::PackWriter(PackSet& packs, RecordRun& records) : packs_(packs), records_(records) {}

ObjectWriter& PackWriter::object() {
    if (!pack_) {
        pack_ = packs_.open();
        noted_ = 0;
        if (packs_.describes_full_packs())
            of_pack_.emplace();
        pack_->object->on_frame(
            [this](uint64_t offset, uint32_t stored) { release(offset, stored); });
    }
    return *pack_->object;
}

void PackWriter::note_stored() {
    const uint64_t stored = pack_->object->stored_bytes();
    packs_.add_stored(stored - noted_);
    noted_ = stored;
}

void PackWriter::add_directory(const std::string& path, uint32_t mode) {
    object().append(tar_directory_header(path, mode));
}

void PackWriter::add_file(IndexEntry entry, const ContentSource& content) {
    add_file(std::move(entry), content, records_);
}

void PackWriter::add_file(IndexEntry entry, const ContentSource& content, RecordRun& records) {
    const Bytes header =
        tar_file_header(stored_path(entry), entry.size, entry.mode, entry.modified / 1000000);
    object();
    entry.pack = pack_->number;
    if (header.size() + entry.size + tar_padding(entry.size) > kFrameBytes) {
        object().append(header);
        write_large(entry, content);
        const size_t padding = tar_padding(entry.size);
        hold(std::move(entry), records);
        object().append(Bytes(padding));
    } else {
        write_small(std::move(entry), content, header, records);
    }
    note_stored();
    if (object().stored_bytes() >= full_pack_bytes())
        finish_full();
}

// Header and content stay in one frame: whoever wants the file reads that frame alone.
void PackWriter::write_small(IndexEntry entry, const ContentSource& content, ByteView header,
                             RecordRun& records) {
    ObjectWriter& out = object();
    const size_t size = entry.size;
    if (header.size() + size + tar_padding(size) > out.room().size())
        out.end_frame();
    out.append(header);
    if (size > 0) {
        const MutableByteView target = out.room().first(size);
        content(target, 0);
        entry.skip = static_cast<uint32_t>(out.filled());
        entry.crc32c = crc32c(0, target);
        entry.xxh128 = content_hash(target);
        entry.frames = {{out.frame_offset(), 0}};
    }
    hold(std::move(entry), records);
    out.advance(size);
    out.append(Bytes(tar_padding(size)));
}

// Frames of the content begin at page boundaries, so that pages can be checked where they were read
// to, and one piece of a relation can be fetched by itself.
void PackWriter::write_large(IndexEntry& entry, const ContentSource& content) {
    ObjectWriter& out = object();
    out.end_frame();
    ContentHash hash;
    const bool of_blocks = packs_.block_bytes() > 0 && has_block_checksums(entry);
    std::vector<uint64_t> checksums;
    FrameRun run(packs_.crew(), out.compressor(), [&](const FrameTask& frame) {
        const uint64_t offset = out.frame_offset();
        out.send_frame(ByteView(frame.stored).first(frame.stored_bytes), frame.plain_bytes);
        entry.frames.push_back({offset, out.last_frame_stored()});
        note_stored();
    });
    for (uint64_t done = 0; done < entry.size;) {
        const size_t n = std::min<uint64_t>(entry.size - done, kFrameBytes);
        const bool shared = n == kFrameBytes && run.can_share();
        if (!shared)
            run.finish();
        const MutableByteView target = (shared ? run.room() : out.room()).first(n);
        content(target, done);
        entry.frame_crcs.push_back(crc32c(0, target));
        entry.crc32c = crc32c_of_both(entry.crc32c, entry.frame_crcs.back(), n);
        hash.update(target);
        if (of_blocks)
            append_block_checksums(target, packs_.block_bytes(), checksums);
        done += n;
        if (shared) {
            run.add();
            continue;
        }
        // Before the last frame goes: others may follow in it.
        if (done == entry.size)
            add_checksums(entry, std::exchange(checksums, {}));
        const uint64_t offset = out.frame_offset();
        out.advance(n);
        entry.frames.push_back({offset, out.filled() == 0 ? out.last_frame_stored() : 0});
        note_stored();
    }
    run.finish();
    add_checksums(entry, checksums);
    entry.xxh128 = hash.finish();
}

void PackWriter::add_checksums(IndexEntry& entry, const std::vector<uint64_t>& checksums) {
    ObjectWriter& out = object();
    for (const Bytes& frame : block_checksum_frames(checksums)) {
        const uint64_t offset = out.frame_offset();
        out.send_aside(frame);
        entry.block_checksums.push_back({offset, out.last_frame_stored()});
    }
}

void PackWriter::hold(IndexEntry entry, RecordRun& records) {
    const bool complete = entry.frames.empty() || entry.frames.back().stored != 0;
    if (complete && held_.empty()) {
        record(entry, records);
    } else {
        held_.emplace_back(std::move(entry), &records);
    }
}

void PackWriter::release(uint64_t offset, uint32_t stored) {
    for (auto& [entry, records] : held_) {
        if (!entry.frames.empty() && entry.frames.back().offset == offset) {
            entry.frames.back().stored = stored;
        }
        record(entry, *records);
    }
    held_.clear();
}

void PackWriter::record(const IndexEntry& entry, RecordRun& records) {
    records.add(entry);
    if (of_pack_ && (!is_sound || is_sound(entry.path)))
        of_pack_->add(entry);
}

void PackWriter::finish_full() {
    const uint32_t number = pack_->number;
    finish();
    if (!of_pack_)
        return;
    of_pack_->seal();
    packs_.describe(number, *of_pack_);
    of_pack_.reset();
}

void PackWriter::finish() {
    if (!pack_)
        return;
    packs_.finish(*pack_);
    pack_.reset();
}

}  // namespace ark
