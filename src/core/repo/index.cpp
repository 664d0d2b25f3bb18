#include "core/repo/index.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

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

std::vector<uint32_t> numbers_of_json(const json& j) {
    if (!j.is_array())
        throw json::type_error::create(302, "blocks: no pairs", nullptr);
    std::vector<uint32_t> out;
    out.reserve(j.size());
    for (const json& number : j)
        out.push_back(strict_value<uint32_t>(number));
    return out;
}

// A line as to_json_line writes it has the blocks first, behind the places of their checksums at
// most. There may be very many of these numbers, in every backup of a chain: the library takes
// twenty times as long for them.
struct LineWithBlocks {
    std::vector<uint32_t> blocks;
    std::string rest;  ///< the line without them
};

std::optional<LineWithBlocks> split_blocks(std::string_view line) {
    constexpr std::string_view kKey = R"("blocks":[)";
    constexpr std::string_view kChecksums = R"({"block_xxh3":[)";
    const size_t place = line.find(kKey);
    if (place == std::string_view::npos)
        return std::nullopt;
    const std::string_view before = line.substr(0, place);
    if (before != "{" && !(before.starts_with(kChecksums) && before.ends_with("]],") &&
                           before.find('"', kChecksums.size()) == std::string_view::npos))
        return std::nullopt;
    LineWithBlocks out;
    const char* at = line.data() + place + kKey.size();
    const char* const end = line.data() + line.size();
    for (;;) {
        uint32_t number = 0;
        const auto [behind, error] = std::from_chars(at, end, number);
        if (error != std::errc{} || behind == end || (*at == '0' && behind - at > 1))
            return std::nullopt;
        out.blocks.push_back(number);
        at = behind + 1;
        if (*behind == ']')
            break;
        if (*behind != ',')
            return std::nullopt;
    }
    if (at == end || *at != ',')
        return std::nullopt;
    out.rest = before;
    out.rest.append(at + 1, end);
    return out;
}

// `numbers`: first and length of each run; `stored`: the bytes of the incremental file. What
// follows from the block size is for who knows it.
IncrementalContent incremental_of(const std::vector<uint32_t>& numbers, uint64_t file_size,
                                  uint64_t stored) {
    IncrementalContent out;
    out.file_size = file_size;
    if (numbers.size() % 2 != 0)
        throw json::type_error::create(302, "blocks: no pairs", nullptr);
    uint64_t end = 0;  // of the run before; a run of its own begins behind it
    out.runs.reserve(numbers.size() / 2);
    for (size_t i = 0; i < numbers.size(); i += 2) {
        const BlockRun run{numbers[i], numbers[i + 1]};
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

// `blocks`: those that the line had, where they are not in the JSON.
IndexEntry entry_of_json(const json& j, const std::vector<uint32_t>* blocks) {
    if (blocks != nullptr && j.contains("blocks"))
        throw json::type_error::create(302, "blocks: twice", nullptr);
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
    if (blocks != nullptr || j.contains("file_size") || j.contains("blocks")) {
        e.incremental =
            incremental_of(blocks != nullptr ? *blocks : numbers_of_json(j.at("blocks")),
                           member<uint64_t>(j, "file_size"), e.size);
    }
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
            throw json::type_error::create(302, "frame_crc32c: not one for each frame", nullptr);
    }
    return e;
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
    const auto split = split_blocks(line);
    return with_parsed_json(
        split ? std::string_view(split->rest) : line, "index",
        [&](const json& j) { return entry_of_json(j, split ? &split->blocks : nullptr); });
}

struct IndexReader::State {
    State(Repository& repository, const std::string& cluster, const std::string& place,
          std::string expected_in, size_t fetch_bytes)
        : object(repository.store(), cluster, ObjectKind::index, place, fetch_bytes),
          lines(object),
          expected(std::move(expected_in)) {}

    void passes(std::string_view path) {
        if (!last_path.empty() && path <= last_path)
            throw object.damaged("Its paths are not in order.");
        last_path = path;
    }

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
    return next_from({});
}

std::optional<IndexEntry> IndexReader::next_from(std::string_view path) {
    State& s = *state_;
    while (!s.finished) {
        const auto line = s.lines.next();
        if (!line) {
            s.finished = true;
            s.object.check_digest(s.expected);
            break;
        }
        const auto plain = path.empty() ? std::nullopt : plain_member(*line, "\"path\"");
        if (plain && *plain < path) {
            s.passes(*plain);
            continue;
        }
        IndexEntry entry = parse_index_line(*line);
        s.passes(entry.path);
        if (entry.path >= path)
            return entry;
    }
    return std::nullopt;
}

}  // namespace ark
