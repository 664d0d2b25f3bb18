#include "core/changes/range_changes.hpp"

#include <algorithm>
#include <limits>
#include <string_view>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr std::string_view kTag = "PGARKCHG";
constexpr uint32_t kVersion = 1;
// Tag, version, timeline, then six of 8 bytes each.
constexpr size_t kHeaderBytes = 8 + 4 + 4 + 6 * 8;
constexpr uint64_t kMostRecordBytes = 1 << 30;
constexpr uint64_t kBlocks = std::numeric_limits<uint32_t>::max();  // numbers below this

// LEB128: seven bits a byte, the lowest first.
void put_number(Bytes& out, uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<std::byte>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<std::byte>(value));
}

void put_relation(Bytes& out, const RelationChanges& changes) {
    put_number(out, changes.limit ? uint64_t{*changes.limit} + 1 : 0);
    uint64_t runs = 0;
    changes.blocks.for_each_run(0, kBlocks, [&](uint64_t, uint64_t) { ++runs; });
    put_number(out, runs);
    uint64_t end = 0;
    changes.blocks.for_each_run(0, kBlocks, [&](uint64_t first, uint64_t length) {
        put_number(out, first - end);
        put_number(out, length);
        end = first + length;
    });
}

// Takes numbers off the front; any that is not as put_number writes it is an error.
class Input {
 public:
    Input(ByteView bytes, const std::string& name) : bytes_(bytes), name_(name) {}

    uint64_t number(uint64_t highest) {
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (at_ == bytes_.size())
                throw damaged("It ends early.");
            const auto byte = std::to_integer<uint64_t>(bytes_[at_++]);
            value |= (byte & 0x7F) << shift;
            if ((byte & 0x80) != 0)
                continue;
            // No zeros behind the number's end: equal tables have equal bytes.
            if ((byte == 0 && shift > 0) || value > highest)
                break;
            return value;
        }
        throw damaged("It has an impossible number before byte " + std::to_string(at_) + ".");
    }
    uint32_t number32() {
        return static_cast<uint32_t>(number(std::numeric_limits<uint32_t>::max()));
    }
    /// How many of something follow that take so many bytes at least.
    uint64_t count(size_t bytes_each) { return number((bytes_.size() - at_) / bytes_each); }
    bool at_end() const { return at_ == bytes_.size(); }

    Error damaged(const std::string& what) const {
        return {ErrorCode::corrupt, "change table \"" + name_ + "\" is damaged", what};
    }

 private:
    ByteView bytes_;
    const std::string& name_;
    size_t at_ = 0;
};

// Ids are written as what they differ by from the ones before: how far on the first that differs
// is, the others as they are.
struct IdCoder {
    RelationId last;
    bool any = false;

    void put(Bytes& out, const RelationId& id) {
        put_number(out, id.tablespace - last.tablespace);
        const bool same_tablespace = any && id.tablespace == last.tablespace;
        put_number(out, id.database - (same_tablespace ? last.database : 0));
        const bool same = same_tablespace && id.database == last.database;
        put_number(out, id.filenode - (same ? last.filenode : 0));
        last = id;
        any = true;
    }
    RelationId take(Input& in) {
        constexpr uint64_t kHighest = std::numeric_limits<uint32_t>::max();
        const RelationId before = last;
        last.tablespace += static_cast<uint32_t>(in.number(kHighest - last.tablespace));
        if (!any || last.tablespace != before.tablespace)
            last.database = 0;
        last.database += static_cast<uint32_t>(in.number(kHighest - last.database));
        if (!any || last.tablespace != before.tablespace || last.database != before.database)
            last.filenode = 0;
        last.filenode += static_cast<uint32_t>(in.number(kHighest - last.filenode));
        if (any && last <= before)
            throw in.damaged("It has an entry twice.");
        any = true;
        return last;
    }
};

RelationChanges take_relation(Input& in, uint64_t& blocks_left) {
    RelationChanges out;
    const uint64_t limit = in.number(kBlocks);
    if (limit > 0)
        out.limit = static_cast<uint32_t>(limit - 1);
    const uint64_t runs = in.count(2);
    if (limit == 0 && runs == 0)
        throw in.damaged("It has an entry without content.");
    uint64_t end = 0;
    for (uint64_t i = 0; i < runs; ++i) {
        const uint64_t gap = in.number(kBlocks - end);
        const uint64_t length = in.number(kBlocks - end - gap);
        if (length == 0 || (gap == 0 && i > 0))
            throw in.damaged("It has a run of blocks that is none.");
        if (length > blocks_left)
            throw in.damaged("It has more blocks than its WAL can name.");
        blocks_left -= length;
        out.blocks.add_run(static_cast<uint32_t>(end + gap), length);
        end += gap + length;
    }
    return out;
}

std::vector<EndedBackup> take_backups(Input& in, const ChangeRange& range) {
    std::vector<EndedBackup> out;
    Lsn before = range.from;
    for (uint64_t left = in.count(2); left > 0; --left) {
        EndedBackup backup;
        backup.start = in.number(std::numeric_limits<Lsn>::max());
        backup.stop = in.number(std::numeric_limits<Lsn>::max());
        if (backup.start >= backup.stop || backup.stop <= before)
            throw in.damaged("It has a backup that cannot be.");
        before = backup.stop;
        out.push_back(backup);
    }
    return out;
}

void check_header(const RangeChanges& changes, const Input& in) {
    const ChangeRange& range = changes.range;
    const auto inside = [&](Lsn lsn) { return lsn >= range.from && lsn < range.to; };
    const bool any = changes.last_record != 0;
    const bool good =
        range.timeline > 0 && range.from < range.to &&
        (!any || (inside(changes.last_record) && changes.previous_record < changes.last_record)) &&
        (any || changes.previous_record == 0) &&
        (changes.minimal_at == 0 || inside(changes.minimal_at));
    if (!good)
        throw in.damaged("Its header contradicts itself.");
}

}  // namespace

Lsn end_of_table(Lsn from, uint64_t span, Lsn timeline_end) {
    return std::min((from / span + 1) * span, timeline_end);
}

uint64_t change_span(uint64_t segment_size) {
    constexpr uint64_t kSegments = 16;
    constexpr uint64_t kMostBytes = 256 << 20;
    return std::max(segment_size, std::min(kSegments * segment_size, kMostBytes));
}

std::string to_text(const ChangeRange& range) {
    return to_text(range.from) + " to " + to_text(range.to) + " on timeline " +
           std::to_string(range.timeline);
}

Bytes encode_changes(const RangeChanges& changes) {
    Bytes out(kHeaderBytes);
    std::memcpy(out.data(), kTag.data(), kTag.size());
    store<uint32_t>(out, 8, kVersion);
    store<uint32_t>(out, 12, changes.range.timeline);
    store<uint64_t>(out, 16, changes.range.from);
    store<uint64_t>(out, 24, changes.range.to);
    store<uint64_t>(out, 32, changes.system_identifier);
    store<uint64_t>(out, 40, changes.previous_record);
    store<uint64_t>(out, 48, changes.last_record);
    store<uint64_t>(out, 56, changes.minimal_at);
    put_number(out, changes.backups.size());
    for (const EndedBackup& backup : changes.backups) {
        put_number(out, backup.start);
        put_number(out, backup.stop);
    }
    put_number(out, changes.table.databases().size());
    IdCoder databases;
    for (const DatabaseId& id : changes.table.databases())
        databases.put(out, {id.tablespace, id.database, 0});
    const auto relations = changes.table.sorted();
    put_number(out, relations.size());
    IdCoder ids;
    for (const auto& [id, relation] : relations) {
        ids.put(out, id);
        put_relation(out, *relation);
    }
    return out;
}

RangeChanges decode_changes(ByteView bytes, const std::string& name) {
    const Input whole(bytes, name);
    if (bytes.size() < kHeaderBytes || as_text(bytes.first(kTag.size())) != kTag)
        throw whole.damaged("It does not begin as a change table does.");
    if (load<uint32_t>(bytes, 8) != kVersion) {
        throw Error(ErrorCode::unsupported,
                    "change table \"" + name + "\" has a format that this version does not read",
                    {}, "Use a newer pg_ark.");
    }
    RangeChanges out;
    out.range = {load<uint32_t>(bytes, 12), load<uint64_t>(bytes, 16), load<uint64_t>(bytes, 24)};
    out.system_identifier = load<uint64_t>(bytes, 32);
    out.previous_record = load<uint64_t>(bytes, 40);
    out.last_record = load<uint64_t>(bytes, 48);
    out.minimal_at = load<uint64_t>(bytes, 56);
    Input in(bytes.subspan(kHeaderBytes), name);
    check_header(out, in);
    out.backups = take_backups(in, out.range);
    IdCoder databases;
    for (uint64_t left = in.count(3); left > 0; --left) {
        const RelationId id = databases.take(in);
        if (id.filenode != 0)
            throw in.damaged("It has a relation among its databases.");
        out.table.add_database({id.tablespace, id.database});
    }
    // A reference takes 8 bytes at least; the last record may go on far behind the range.
    uint64_t blocks_left = (out.range.to - out.range.from + kMostRecordBytes) / 8;
    IdCoder ids;
    for (uint64_t left = in.count(5); left > 0; --left) {
        const RelationId id = ids.take(in);
        out.table.add(id, take_relation(in, blocks_left));
    }
    if (!in.at_end())
        throw in.damaged("It goes on behind its end.");
    if (out.last_record == 0 && (!out.table.empty() || !out.backups.empty()))
        throw in.damaged("It has changes, but no record.");
    return out;
}

}  // namespace ark
