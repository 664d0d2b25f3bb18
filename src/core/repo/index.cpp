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

void check_frame_crcs(const IndexEntry& e) {
    if (e.frame_crcs.size() != e.frames.size())
        throw json::type_error::create(302, "frame_crc32c: not one for each frame", nullptr);
}

// No object is longer than a file can be; sums of these have to be places in one.
bool lies_in_an_object(const FrameRef& ref) {
    constexpr uint64_t kMostBytes = std::numeric_limits<int64_t>::max();
    return ref.offset <= kMostBytes - ref.stored;
}

json frames_to_json(const std::vector<FrameRef>& frames) {
    json out = json::array();
    for (const FrameRef& f : frames)
        out.push_back({f.offset, f.stored});
    return out;
}

std::vector<FrameRef> frames_of_json(const json& j, const char* key) {
    std::vector<FrameRef> out;
    for (const json& f : j.at(key)) {
        out.push_back({strict_value<uint64_t>(f.at(0)), strict_value<uint32_t>(f.at(1))});
        if (!lies_in_an_object(out.back()))
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

IndexEntry entry_of_json(const json& j) {
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
    if (j.contains("file_size") || j.contains("blocks")) {
        e.incremental = incremental_of(numbers_of_json(j.at("blocks")),
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
        check_frame_crcs(e);
    }
    return e;
}

/// Takes a line apart that is, byte for byte, as to_json_line writes one of a file with frames: in
/// a chain there are as many of them as backups for each file, and the library takes ten times as
/// long, for blocks twenty times. Of any other nothing is understood.
class WrittenLine {
 public:
    explicit WrittenLine(std::string_view text)
        : at_(text.data()), end_(text.data() + text.size()) {}

    // nullopt where the library has to look at it: to find the same, or what is wrong.
    std::optional<IndexEntry> entry() {
        IndexEntry e;
        std::optional<std::vector<uint32_t>> blocks;
        uint64_t file_size = 0;
        expect("{");
        if (next_is(R"("block_xxh3":)")) {
            e.block_checksums = frames();
            expect(",");
        }
        if (next_is(R"("blocks":)")) {
            blocks = numbers();
            expect(",");
        }
        expect(R"("crc32c":)"), number(e.crc32c);
        if (blocks)
            expect(R"(,"file_size":)"), number(file_size);
        if (next_is(R"(,"frame_crc32c":)")) {
            e.frame_crcs = numbers();
            has_frame_crcs_ = true;
        }
        expect(R"(,"frames":)"), e.frames = frames();
        expect(R"(,"mode":)"), number(e.mode);
        expect(R"(,"mtime":)"), number(e.modified);
        expect(R"(,"pack":)"), number(e.pack);
        expect(R"(,"path":)"), e.path = text();
        expect(R"(,"size":)"), number(e.size);
        expect(R"(,"skip":)"), number(e.skip);
        expect(R"(,"type":"file")");
        if (next_is(R"(,"xxh128":)"))
            e.xxh128 = hash();
        expect("}");
        if (at_ != end_ && *at_ == '\n')
            ++at_;
        if (!good_ || at_ != end_ || e.size == 0)
            return std::nullopt;
        try {
            if (blocks)
                e.incremental = incremental_of(*blocks, file_size, e.size);
            check_frames(e);
            if (has_frame_crcs_)
                check_frame_crcs(e);
        } catch (const json::exception&) {
            return std::nullopt;
        }
        return e;
    }

 private:
    bool next_is(std::string_view text) {
        if (!good_ || !std::string_view(at_, end_).starts_with(text))
            return false;
        at_ += text.size();
        return true;
    }
    void expect(std::string_view text) { good_ = next_is(text); }

    template <typename T>
    void number(T& value) {
        if (!good_)
            return;
        const char* const begin = at_;
        const auto [behind, error] = std::from_chars(at_, end_, value);
        const char* const digits = begin != end_ && *begin == '-' ? begin + 1 : begin;
        // JSON has neither 07 nor -0.
        good_ = error == std::errc{} && (*digits != '0' || (behind - begin == 1));
        at_ = behind;
    }

    template <typename Function>
    void list(const Function& element) {
        expect("[");
        if (next_is("]"))
            return;
        do {
            element();
        } while (next_is(","));
        expect("]");
    }

    std::vector<uint32_t> numbers() {
        std::vector<uint32_t> out;
        list([&] { number(out.emplace_back()); });
        return out;
    }

    std::vector<FrameRef> frames() {
        std::vector<FrameRef> out;
        list([&] {
            FrameRef& ref = out.emplace_back();
            expect("["), number(ref.offset), expect(","), number(ref.stored), expect("]");
            good_ = good_ && lies_in_an_object(ref);
        });
        return out;
    }

    // Of characters that stand for themselves, each a byte.
    std::string_view text() {
        expect("\"");
        const char* const begin = at_;
        while (good_ && at_ != end_ && *at_ >= ' ' && *at_ <= '~' && *at_ != '"' && *at_ != '\\')
            ++at_;
        const std::string_view out(begin, at_);
        expect("\"");
        return out;
    }

    Hash128 hash() {
        const std::string digits(text());
        constexpr size_t kDigits = 32;
        good_ = good_ && digits.size() == kDigits &&
                digits.find_first_not_of("0123456789abcdef") == std::string::npos;
        return good_ ? parse_hash128(digits) : Hash128{};
    }

    const char* at_;
    const char* const end_;
    bool good_ = true;
    bool has_frame_crcs_ = false;
};

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
    if (auto entry = WrittenLine(line).entry())
        return std::move(*entry);
    return with_parsed_json(line, "index", [&](const json& j) {
        // The library would take the last.
        constexpr std::string_view kBlocks = R"("blocks":)";
        if (line.find(kBlocks) != line.rfind(kBlocks))
            throw json::type_error::create(302, "blocks: twice", nullptr);
        return entry_of_json(j);
    });
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
