#include "core/repo/index.hpp"

#include <algorithm>
#include <limits>

#include "core/base/error.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/object_reader.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr const char* kFile = "file";
constexpr const char* kDirectory = "directory";

EntryType type_of(const std::string& text) {
    if (text == kDirectory)
        return EntryType::directory;
    if (text == kFile)
        return EntryType::file;
    throw json::type_error::create(302, "type: unknown: " + text, nullptr);
}

// A frame holds at most kFrameBytes: with fewer frames than that asks for, content is missing.
void check_frames(const IndexEntry& e) {
    const uint64_t needed =
        e.size / kFrameBytes + (e.size % kFrameBytes + e.skip + kFrameBytes - 1) / kFrameBytes;
    if (e.skip >= kFrameBytes || e.frames.size() < needed)
        throw json::type_error::create(302, "frames: too few for the size", nullptr);
}

json frames_to_json(const std::vector<FrameRef>& frames) {
    json out = json::array();
    for (const FrameRef& f : frames)
        out.push_back({f.offset, f.stored});
    return out;
}

std::vector<FrameRef> frames_of_json(const json& j, const char* key) {
    // No object is longer than a file can be; sums of these have to be places in one.
    constexpr uint64_t kMostBytes = std::numeric_limits<int64_t>::max();
    std::vector<FrameRef> out;
    for (const json& f : j.at(key)) {
        out.push_back({strict_value<uint64_t>(f.at(0)), strict_value<uint32_t>(f.at(1))});
        if (out.back().offset > kMostBytes - out.back().stored)
            throw json::type_error::create(302, std::string(key) + ": behind the end of any object",
                                           nullptr);
    }
    return out;
}

json runs_to_json(const std::vector<BlockRun>& runs) {
    json out = json::array();
    for (const BlockRun& run : runs) {
        out.push_back(run.first);
        out.push_back(run.length);
    }
    return out;
}

// `stored`: the bytes of the incremental file. What follows from the block size is for who knows
// it.
IncrementalContent incremental_of_json(const json& j, uint64_t stored) {
    IncrementalContent out;
    out.file_size = member<uint64_t>(j, "file_size");
    const json& numbers = j.at("blocks");
    if (!numbers.is_array() || numbers.size() % 2 != 0)
        throw json::type_error::create(302, "blocks: no pairs", nullptr);
    uint64_t end = 0;  // of the run before; a run of its own begins behind it
    for (size_t i = 0; i < numbers.size(); i += 2) {
        const BlockRun run{strict_value<uint32_t>(numbers[i]),
                           strict_value<uint32_t>(numbers[i + 1])};
        const uint64_t run_end = uint64_t{run.first} + run.length;
        if (run.length == 0 || (i > 0 && run.first <= end) ||
            run_end > std::numeric_limits<uint32_t>::max())
            throw json::type_error::create(302, "blocks: not in order", nullptr);
        end = run_end;
        out.runs.push_back(run);
    }
    if (end > out.file_size ||
        stored < incremental_header_bytes(blocks_in(out.runs), 1) + blocks_in(out.runs))
        throw json::type_error::create(302, "blocks: more than the sizes allow", nullptr);
    return out;
}

}  // namespace

std::string stored_path(const IndexEntry& e) {
    return e.incremental ? incremental_path(e.path) : e.path;
}

uint64_t file_size(const IndexEntry& e) {
    return e.incremental ? e.incremental->file_size : e.size;
}

std::string to_json_line(const IndexEntry& e) {
    json j{{"path", json_of_text(e.path)},
           {"type", e.type == EntryType::file ? kFile : kDirectory},
           {"mode", e.mode}};
    if (e.type == EntryType::file) {
        j["mtime"] = e.modified;
        j["size"] = e.size;
        j["crc32c"] = e.crc32c;
        if (!e.frames.empty()) {
            if (e.xxh128.is_known())
                j["xxh128"] = to_text(e.xxh128);
            j["pack"] = e.pack;
            j["skip"] = e.skip;
            j["frames"] = frames_to_json(e.frames);
            if (e.frames.size() > 1 && !e.frame_crcs.empty())
                j["frame_crc32c"] = e.frame_crcs;
            if (!e.block_checksums.empty())
                j["block_xxh3"] = frames_to_json(e.block_checksums);
        }
        if (e.incremental) {
            j["file_size"] = e.incremental->file_size;
            j["blocks"] = runs_to_json(e.incremental->runs);
        }
    }
    return j.dump() + "\n";
}

IndexEntry parse_index_line(std::string_view line) {
    return with_parsed_json(line, "index", [](const json& j) {
        IndexEntry e;
        e.path = text_member(j, "path");
        e.type = type_of(member<std::string>(j, "type"));
        e.mode = member<uint32_t>(j, "mode");
        if (e.type == EntryType::directory)
            return e;
        e.modified = member<int64_t>(j, "mtime");
        e.size = member<uint64_t>(j, "size");
        e.crc32c = member<uint32_t>(j, "crc32c");
        // One without the other must not pass for a whole file.
        if (j.contains("file_size") || j.contains("blocks"))
            e.incremental = incremental_of_json(j, e.size);
        // Without this a file whose frames are lost would come back as zeros.
        if (e.size == 0)
            return e;
        if (j.contains("xxh128"))
            e.xxh128 = parse_hash128(member<std::string>(j, "xxh128"));
        e.pack = member<uint32_t>(j, "pack");
        e.skip = member<uint32_t>(j, "skip");
        e.frames = frames_of_json(j, "frames");
        check_frames(e);
        if (j.contains("block_xxh3"))
            e.block_checksums = frames_of_json(j, "block_xxh3");
        if (j.contains("frame_crc32c")) {
            for (const json& crc : j.at("frame_crc32c"))
                e.frame_crcs.push_back(strict_value<uint32_t>(crc));
            if (e.frame_crcs.size() != e.frames.size())
                throw json::type_error::create(302, "frame_crc32c: not one for each frame",
                                               nullptr);
        }
        return e;
    });
}

struct IndexReader::State {
    State(Repository& repository, const std::string& cluster, const std::string& place,
          std::string expected_in, size_t fetch_bytes)
        : object(repository.store(), cluster, ObjectKind::index, place, fetch_bytes),
          lines(object),
          expected(std::move(expected_in)) {}

    ObjectReader object;
    LineReader lines;
    std::string expected;
    std::string last_path;
    bool finished = false;
};

IndexReader::IndexReader(Repository& repository, const std::string& cluster,
                         const std::string& backup_id, const std::string& expected_sha256,
                         size_t fetch_bytes)
    : state_(std::make_unique<State>(repository, cluster, place::index(backup_id), expected_sha256,
                                     fetch_bytes)) {}
IndexReader::~IndexReader() = default;

std::optional<IndexEntry> IndexReader::next() {
    State& s = *state_;
    if (s.finished)
        return std::nullopt;
    const auto line = s.lines.next();
    if (!line) {
        s.finished = true;
        s.object.check_digest(s.expected);
        return std::nullopt;
    }
    IndexEntry entry = parse_index_line(*line);
    if (!s.last_path.empty() && entry.path <= s.last_path)
        throw s.object.damaged("Its paths are not in order.");
    s.last_path = entry.path;
    return entry;
}

}  // namespace ark
