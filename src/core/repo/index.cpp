#include "core/repo/index.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr const char* kFile = "file";
constexpr const char* kDirectory = "directory";

// Stored bytes fetched at a time; a frame of 1 MiB that does not compress is a little longer.
constexpr size_t kReadBytes = 4 << 20;

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

}  // namespace

std::string to_json_line(const IndexEntry& e) {
    json j{{"path", json_of_text(e.path)},
           {"type", e.type == EntryType::file ? kFile : kDirectory},
           {"mode", e.mode}};
    if (e.type == EntryType::file) {
        j["mtime"] = e.modified;
        j["size"] = e.size;
        j["crc32c"] = e.crc32c;
        if (!e.frames.empty()) {
            j["pack"] = e.pack;
            j["skip"] = e.skip;
            json& frames = j["frames"] = json::array();
            for (const FrameRef& f : e.frames)
                frames.push_back({f.offset, f.stored});
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
        // Without this a file whose frames are lost would come back as zeros.
        if (e.size == 0)
            return e;
        e.pack = member<uint32_t>(j, "pack");
        e.skip = member<uint32_t>(j, "skip");
        for (const json& f : j.at("frames")) {
            e.frames.push_back({strict_value<uint64_t>(f.at(0)), strict_value<uint32_t>(f.at(1))});
        }
        check_frames(e);
        return e;
    });
}

struct IndexReader::State {
    State(Repository& repository_in, std::string name_in, std::string expected_in)
        : repository(repository_in), name(std::move(name_in)), expected(std::move(expected_in)) {}

    Error damaged(const std::string& what) const {
        return {ErrorCode::corrupt, "object \"" + name + "\" is damaged", what};
    }

    // Appends the next stored bytes to `stored`; false at the end of the object.
    bool fetch() {
        const size_t before = stored.size();
        stored.resize(before + kReadBytes);
        const size_t n = repository.store().get_range(
            name, offset, MutableByteView(stored).subspan(before, kReadBytes));
        stored.resize(before + n);
        offset += n;
        return n > 0;
    }

    void check_header(const std::string& place) {
        fetch();
        const ParsedHeader parsed = parse_header(stored, name);
        if (parsed.header.kind != ObjectKind::index || parsed.header.place != place) {
            throw damaged("It is an object of another place: \"" + parsed.header.place + "\".");
        }
        stored.erase(stored.begin(), stored.begin() + static_cast<ptrdiff_t>(parsed.frame_bytes));
    }

    // Appends the next frame's plaintext to `text`; false at the end.
    bool next_frame() {
        for (;;) {
            const ByteView rest = ByteView(stored).subspan(consumed);
            const auto length = rest.empty() ? std::nullopt : frame_length(rest, name);
            if (!length && rest.size() > FrameCompressor::max_frame_bytes())
                throw damaged("It has a frame that is longer than frames are.");
            if (length) {
                Bytes plain(kFrameBytes);
                plain.resize(decompressor.decompress(rest.first(*length), plain, name));
                consumed += *length;
                digest.update(plain);
                text.erase(0, text_used);
                text_used = 0;
                text += as_text(plain);
                return true;
            }
            stored.erase(stored.begin(), stored.begin() + static_cast<ptrdiff_t>(consumed));
            consumed = 0;
            if (!fetch()) {
                if (!stored.empty())
                    throw damaged("It ends in the middle of a frame.");
                return false;
            }
        }
    }

    Repository& repository;
    std::string name;
    std::string expected;
    uint64_t offset = 0;
    Bytes stored;
    size_t consumed = 0;
    FrameDecompressor decompressor;
    Sha256 digest;
    std::string text;
    size_t text_used = 0;
    std::string last_path;
    bool finished = false;
};

IndexReader::IndexReader(Repository& repository, const std::string& cluster,
                         const std::string& backup_id, const std::string& expected_sha256)
    : state_(std::make_unique<State>(repository, cluster + "/" + place::index(backup_id),
                                     expected_sha256)) {
    state_->check_header(place::index(backup_id));
}
IndexReader::~IndexReader() = default;

std::optional<IndexEntry> IndexReader::next() {
    State& s = *state_;
    if (s.finished)
        return std::nullopt;
    size_t newline = 0;
    while ((newline = s.text.find('\n', s.text_used)) == std::string::npos) {
        if (s.next_frame())
            continue;
        s.finished = true;
        if (s.text_used != s.text.size())
            throw s.damaged("It ends in the middle of a line.");
        if (s.digest.finish() != s.expected) {
            throw s.damaged("Its content does not match the digest in the backup's marker.");
        }
        return std::nullopt;
    }
    IndexEntry entry =
        parse_index_line(std::string_view(s.text).substr(s.text_used, newline - s.text_used));
    s.text_used = newline + 1;
    if (!s.last_path.empty() && entry.path <= s.last_path) {
        throw s.damaged("Its paths are not in order.");
    }
    s.last_path = entry.path;
    return entry;
}

}  // namespace ark
