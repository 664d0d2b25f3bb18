#include "core/repo/index.hpp"

#include "core/pipeline/digest.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/object_writer.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

IndexEntry file_entry(const std::string& path, uint64_t size = 10) {
    IndexEntry e;
    e.path = path;
    e.mode = 0640;
    e.modified = 1795140900123456;
    e.size = size;
    e.crc32c = 0xDEADBEEF;
    if (size > 0) {
        e.pack = 3;
        e.skip = size < kFrameBytes ? 512 : 0;
        for (uint64_t done = 0; done < size; done += kFrameBytes)
            e.frames.push_back({600 + done, 77});
    }
    return e;
}

TEST(IndexEntry, RoundTrips) {
    IndexEntry directory;
    directory.path = "base/1";
    directory.type = EntryType::directory;
    directory.mode = 0750;
    IndexEntry large = file_entry("base/1/9", 5 * kFrameBytes + 1);
    large.frames.back() = {1ULL << 45, 0xFFFFFFFF};
    large.block_checksums = {{1ULL << 44, 1048588}, {1ULL << 43, 20}};
    IndexEntry old = file_entry("old");
    old.modified = -1;
    for (const IndexEntry& entry :
         {directory, file_entry("base/1/1"), file_entry("empty", 0), large, old,
          file_entry("quote\"d \\ \n \x01 \x7F"), file_entry("not utf-8 \xFF\xC3"),
          file_entry("umlaut \xC3\xA4")}) {
        const std::string line = to_json_line(entry);
        EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line an entry";
        EXPECT_EQ(parse_index_line(std::string_view(line).substr(0, line.size() - 1)), entry);
    }
}

// One that is not byte for byte as it is written is read by other means: the same is understood,
// and refused.
TEST(IndexEntry, LinesOfAnotherForm) {
    IndexEntry all = file_entry("base/5/16384.1", 3 * kFrameBytes);
    all.modified = -77;
    all.xxh128 = {0xFEDCBA9876543210, 7};
    all.frame_crcs = {1, 0xFFFFFFFF, 0};
    all.block_checksums = {{1ULL << 44, 1048588}, {1ULL << 43, 20}};
    all.incremental = {uint64_t{131072} * 8192, {{0, 3}, {4, 1}}};
    for (const IndexEntry& entry : {all, file_entry("f")}) {
        const std::string line = to_json_line(entry);
        EXPECT_EQ(parse_index_line(line), entry);
        // Every place where a space means nothing, or is one of the path's.
        for (size_t at = 0; at + 1 < line.size(); ++at) {
            const bool between = std::string_view("{}[],:").find(line[at]) != std::string::npos;
            if (between) {
                EXPECT_EQ(parse_index_line(std::string(line).insert(at, " ")), entry) << at;
            }
        }
        EXPECT_EQ(parse_index_line(std::string(line).replace(0, 1, R"({"another":[{}],)")), entry);
    }
    const std::string good = to_json_line(all);
    const auto with = [&](const std::string& what, const std::string& by) {
        std::string out = good;
        const size_t at = out.find(what);
        EXPECT_NE(at, std::string::npos) << what;
        return out.replace(at, what.size(), by);
    };
    for (const std::string& line :
         {with(R"("skip":0)", R"("skip":00)"), with(R"("skip":0)", R"("skip":+0)"),
          with(R"("mtime":-77)", R"("mtime":-077)"), with(R"("mtime":-77)", R"("mtime":--77)"),
          with(R"("mtime":-77)", R"("mtime":)"), with("fedcba9876543210", "fedcba987654321"),
          with("fedcba9876543210", "gedcba9876543210"), with("[1,4294967295,0]", "[1,4294967295]"),
          with("[1,4294967295,0]", "[1,4294967296,0]"), with("[1,4294967295,0]", "[1,-1,0]"),
          with("base/5/16384.1", "base/5/\x01"), with("base/5/16384.1", "base/5/\xFF"),
          with("base/5/16384.1", "base/5/\\x"), with("[[600,77]", "[[600,77],"),
          with("[[600,77]", "[[600,]"), with(R"("type":"file")", R"("type":"directory" "type":)"),
          good.substr(0, good.size() - 2), good + "}", good + "x"}) {
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse_index_line(line); }, line);
    }
    EXPECT_EQ(parse_index_line(with(R"("skip":0)", R"("skip":-0)")), all);
    IndexEntry escaped = all;
    escaped.path = "base/5/A\n";
    EXPECT_EQ(parse_index_line(with("base/5/16384.1", R"(base/5/\u0041\n)")), escaped);
}

IndexEntry incremental_entry(uint64_t file_size, std::vector<BlockRun> runs) {
    IndexEntry entry = file_entry("base/5/16384.1", incremental_bytes(blocks_in(runs), 8192));
    entry.incremental = {file_size, std::move(runs)};
    return entry;
}

TEST(IndexEntry, ChangedBlocksRoundTrip) {
    const uint64_t most = uint64_t{131072} * 8192;
    for (const IndexEntry& entry :
         {incremental_entry(8192, {}), incremental_entry(8192, {{0, 1}}),
          incremental_entry(most, {{0, 3}, {4, 1}, {70000, 1000}, {131071, 1}})}) {
        const std::string line = to_json_line(entry);
        const IndexEntry parsed =
            parse_index_line(std::string_view(line).substr(0, line.size() - 1));
        EXPECT_EQ(parsed, entry);
        EXPECT_EQ(file_size(parsed), entry.incremental->file_size);
        EXPECT_EQ(stored_path(parsed), "base/5/INCREMENTAL.16384.1");
    }
    EXPECT_EQ(file_size(file_entry("base/5/1")), 10U);
    EXPECT_EQ(stored_path(file_entry("base/5/1")), "base/5/1");
}

// Blocks that are taken from the wrong place, or for a whole file, are a wrong restore.
TEST(IndexEntry, ChangedBlocksThatCannotBe) {
    const std::string good = to_json_line(incremental_entry(81920, {{2, 1}, {5, 3}}));
    const std::string blocks = R"("blocks":[2,1,5,3])";
    const std::string size = R"("file_size":81920)";
    const auto with = [&](const std::string& what, const std::string& by) {
        std::string out = good;
        const size_t at = out.find(what);
        EXPECT_NE(at, std::string::npos) << what;
        return out.replace(at, what.size(), by);
    };
    EXPECT_NO_THROW(parse_index_line(good));
    for (const std::string& line :
         {with(blocks, R"("blocks":[2,1,5])"), with(blocks, R"("blocks":[2,0,5,3])"),
          with(blocks, R"("blocks":[2,1,3,3])"), with(blocks, R"("blocks":[2,1,2,1])"),
          with(blocks, R"("blocks":[5,3,2,1])"), with(blocks, R"("blocks":[2,4,5,3])"),
          with(blocks, R"("blocks":[-2,1])"), with(blocks, R"("blocks":[2,1.5])"),
          with(blocks, R"("blocks":["2",1])"), with(blocks, R"("blocks":[4294967296,1])"),
          with(blocks, R"("blocks":[4294967295,1])"), with(blocks, R"("blocks":[1,4294967295])"),
          with(blocks, R"("blocks":{"2":1})"), with(blocks, R"("blocks":7)"),
          with(blocks, R"("blocks":null)"), with(blocks, R"("other":1)"),
          with(blocks, R"("blocks":[02,1])"), with(blocks, R"("blocks":[2,1,])"),
          with(blocks, R"("blocks":[2,1,5,3]])"), with(blocks, R"("blocks":[2,1],"blocks":[5,3])"),
          with(size, R"("file_size":-1)"), with(size, R"("file_size":"81920")"),
          with(size, R"("file_size":null)"), with(size, R"("other":1)"),
          // Behind the file's end, and more of them than there are bytes.
          with(size, R"("file_size":7)"), with(blocks, R"("blocks":[2,1,5,33000])")}) {
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse_index_line(line); }, line);
    }
    for (const char* as_well : {R"("blocks": [2,1,5,3])", R"("blocks":[2,1,5 ,3])"})
        EXPECT_EQ(parse_index_line(with(blocks, as_well)), parse_index_line(good));
    for (size_t size = 0; size + 1 < good.size(); ++size) {
        test::expect_error(ErrorCode::corrupt,
                           [&] { return parse_index_line(good.substr(0, size)); });
    }
    // An incremental file has a header at least.
    IndexEntry empty = file_entry("base/5/1", 0);
    empty.incremental = IncrementalContent{8192, {}};
    test::expect_error(ErrorCode::corrupt, [&] { return parse_index_line(to_json_line(empty)); });
}

TEST(IndexEntry, LinesThatAreNotEntries) {
    const std::string good = to_json_line(file_entry("f"));
    const auto replaced = [&](const std::string& what, const std::string& by) {
        std::string out = good;
        const size_t at = out.find(what);
        EXPECT_NE(at, std::string::npos) << what;
        return out.replace(at, what.size(), by);
    };
    for (const std::string& line :
         {std::string(), std::string("{"), std::string("[]"), std::string("7"),
          good.substr(0, good.size() / 2), replaced("\"file\"", "\"link\""),
          replaced("\"file\"", "7"), replaced("\"path\":\"f\"", "\"path\":{\"hex\":\"x\"}"),
          replaced("\"path\":\"f\"", "\"path\":7"), replaced("\"size\":10", "\"size\":-1"),
          replaced("\"size\":10", "\"size\":1.5"), replaced("\"size\":10", "\"size\":true"),
          replaced("\"mode\":416", "\"mode\":99999999999"), replaced("[600,77]", "[600]"),
          replaced("[600,77]", "600"), replaced("[600,77]", "[-1,77]"),
          replaced("[600,77]", "[600,99999999999]"),
          replaced("\"skip\":512", "\"skip\":1048576")}) {
        const Error error = test::expect_error(
            ErrorCode::corrupt, [&] { return parse_index_line(line); }, line);
        EXPECT_TRUE(test::mentions(error.message, "index"));
    }
}

// Such a file would be restored as zeros, or short.
// Whoever wrote it, sums of offset and length must not begin at zero again: what is fetched is
// looked for by them.
TEST(IndexEntry, FramesBehindTheEndOfAnyObjectAreCorrupt) {
    for (const uint64_t offset : {uint64_t{1} << 63, (uint64_t{1} << 63) - 77, ~uint64_t{0} - 9}) {
        IndexEntry entry = file_entry("f");
        entry.frames = {{offset, 77}};
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse_index_line(to_json_line(entry)); },
            std::to_string(offset));
    }
    IndexEntry last = file_entry("f");
    last.frames = {{(uint64_t{1} << 63) - 78, 77}};
    EXPECT_EQ(parse_index_line(to_json_line(last)), last);
}

TEST(IndexEntry, ContentWithoutItsFramesIsCorrupt) {
    IndexEntry entry = file_entry("f");
    entry.frames.clear();
    test::expect_error(ErrorCode::corrupt, [&] { return parse_index_line(to_json_line(entry)); });
    entry = file_entry("f", 3 * kFrameBytes);
    entry.frames.pop_back();
    test::expect_error(ErrorCode::corrupt, [&] { return parse_index_line(to_json_line(entry)); });
    entry = file_entry("f", kFrameBytes);
    entry.skip = 1;
    test::expect_error(ErrorCode::corrupt, [&] { return parse_index_line(to_json_line(entry)); });
}

class Index : public testing::Test {
 protected:
    Index() : repository(Repository::open(make_memory_store(), OpenMode::create)) {}

    void write(const std::string& text, const std::string& place = place::index("b"),
               ObjectKind kind = ObjectKind::index) {
        ObjectWriter writer(repository->store(), "c", kind, place, {}, 1, true);
        writer.append(as_bytes(text));
        digest = writer.finish().plain_sha256;
    }
    std::vector<std::string> read() {
        IndexReader reader(*repository, "c", "b", digest);
        std::vector<std::string> paths;
        while (const auto entry = reader.next())
            paths.push_back(entry->path);
        EXPECT_FALSE(reader.next()) << "the end stays the end";
        return paths;
    }
    void replace(Bytes bytes) {
        repository->store().remove(kName);
        repository->store().put_if_absent(kName, bytes);
    }
    Bytes stored() { return *repository->store().get(kName, 64 << 20); }

    const std::string kName = "c/" + place::index("b");
    std::unique_ptr<Repository> repository;
    std::string digest;
};

std::string lines(const std::vector<std::string>& paths) {
    std::string text;
    for (const std::string& path : paths)
        text += to_json_line(file_entry(path));
    return text;
}

TEST_F(Index, IsReadInOrderOverFrameAndFetchBoundaries) {
    std::vector<std::string> paths;
    for (int i = 0; i < 60000; ++i)
        paths.push_back("base/" + std::to_string(1000000 + i * 7));
    write(lines(paths));
    EXPECT_EQ(read(), paths);
}

TEST_F(Index, TakesNamesWithCharactersBelowTheSlash) {
    const std::vector<std::string> paths{"a\x01", "a b", "a!", "a-b", "a.b", "a/b", "a0", "a\xFF"};
    write(lines(paths));
    EXPECT_EQ(read(), paths);
}

TEST_F(Index, AnEmptyOneHasNoEntries) {
    write("");
    EXPECT_TRUE(read().empty());
}

TEST_F(Index, ALineLongerThanAFetchIsRead) {
    write(lines({"a"}) + to_json_line(file_entry("big", 400000ULL * kFrameBytes)) + lines({"c"}));
    EXPECT_EQ(read(), (std::vector<std::string>{"a", "big", "c"}));
}

TEST_F(Index, PathsOutOfOrderOrTwiceAreCorrupt) {
    for (const auto& paths : {std::vector<std::string>{"b", "a"}, {"a", "a"}, {"a/b", "a.b"}}) {
        write(lines(paths));
        test::expect_error(ErrorCode::corrupt, [&] { return read(); });
        repository->store().remove(kName);
    }
}

TEST_F(Index, GoesOnFromAPath) {
    write(lines({"a\x01", "a b", "b/1", "b/2", "b/3", "c", "d\xFF", "\xFF\x01"}));
    IndexReader reader(*repository, "c", "b", digest);
    const auto path_from = [&](std::string_view path) {
        const auto entry = reader.next_from(path);
        return entry ? entry->path : "none";
    };
    EXPECT_EQ(path_from("a b"), "a b");
    EXPECT_EQ(path_from("a"), "b/1") << "what was passed stays passed";
    EXPECT_EQ(path_from("b/2x"), "b/3");
    EXPECT_EQ(path_from("c\x01"), "d\xFF") << "its name is not plain text";
    EXPECT_EQ(path_from("\xFF"), "\xFF\x01");
    EXPECT_EQ(path_from("\xFF"), "none");
}

TEST_F(Index, WhatIsPassedOverIsInTheRightPlaceAndInTheDigest) {
    for (const auto& paths : {std::vector<std::string>{"b", "a", "z"}, {"a", "a", "z"}}) {
        write(lines(paths));
        IndexReader reader(*repository, "c", "b", digest);
        test::expect_error(ErrorCode::corrupt, [&] { return reader.next_from("y"); });
        repository->store().remove(kName);
    }
    write(lines({"a", "b"}));
    digest[0] = digest[0] == '0' ? '1' : '0';
    IndexReader reader(*repository, "c", "b", digest);
    test::expect_error(ErrorCode::corrupt, [&] { return reader.next_from("y"); });
}

TEST_F(Index, ADigestOfAnotherIndexIsCorrupt) {
    write(lines({"a", "b"}));
    digest[0] = digest[0] == '0' ? '1' : '0';
    test::expect_error(ErrorCode::corrupt, [&] { return read(); });
}

TEST_F(Index, EntriesCutAtALineEndAreMissed) {
    write(lines({"a", "b", "c"}));
    const std::string whole = digest;
    repository->store().remove(kName);
    write(lines({"a", "b"}));
    digest = whole;
    test::expect_error(ErrorCode::corrupt, [&] { return read(); });
}

TEST_F(Index, EveryTruncationIsFound) {
    write(lines({"a", "b", "c"}));
    const Bytes whole = stored();
    for (size_t size = 0; size < whole.size(); ++size) {
        replace(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
        test::expect_error(
            ErrorCode::corrupt, [&] { return read(); }, std::to_string(size));
    }
}

TEST_F(Index, FlippedBytesGiveNoOtherEntries) {
    const std::vector<std::string> paths{"a", "b", "c"};
    write(lines(paths));
    Bytes bytes = stored();
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] ^= std::byte{0x21};
        replace(bytes);
        try {
            EXPECT_EQ(read(), paths) << i;
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::corrupt) << error.message;
        }
        bytes[i] ^= std::byte{0x21};
    }
}

TEST_F(Index, OfAnotherBackupOrKindIsCorrupt) {
    write(lines({"a"}));
    const Bytes ours = stored();
    repository->store().remove(kName);
    write(lines({"a"}), place::index("other"));
    replace(*repository->store().get("c/" + place::index("other"), 1 << 20));
    test::expect_error(ErrorCode::corrupt, [&] { return read(); });
    repository->store().remove(kName);
    write(lines({"a"}), place::index("b"), ObjectKind::manifest);
    test::expect_error(ErrorCode::corrupt, [&] { return read(); });
    replace(ours);
    EXPECT_EQ(read(), std::vector<std::string>{"a"});
}

// A few stored bytes can be gigabytes of one line.
TEST_F(Index, ALineWithoutAnEndIsNotGathered) {
    write(std::string(10 * kFrameBytes, ' '));
    ObjectReader object(repository->store(), "c", ObjectKind::index, place::index("b"));
    LineReader lines(object, 4 * kFrameBytes);
    const Error error = test::expect_error(ErrorCode::corrupt, [&] { return lines.next(); });
    EXPECT_TRUE(test::mentions(error.detail, "longer than lines are")) << error.detail;
}

// A block header whose length is damaged promises a frame without end: that is not read to the end.
TEST_F(Index, AFrameThatNeverEndsIsNotGathered) {
    write(lines({"a"}));
    Bytes bytes = stored();
    const size_t header = parse_header(bytes, "x").frame_bytes;
    bytes.resize(header);
    Bytes endless{std::byte{0x28}, std::byte{0xB5}, std::byte{0x2F},
                  std::byte{0xFD}, std::byte{0x00}, std::byte{0x58}};
    while (endless.size() < 12U << 20) {
        // A raw block of 64 KiB that is not the last one.
        endless.insert(endless.end(), {std::byte{0x00}, std::byte{0x00}, std::byte{0x08}});
        endless.resize(endless.size() + 65536);
    }
    bytes.insert(bytes.end(), endless.begin(), endless.end());
    replace(bytes);
    const Error error = test::expect_error(ErrorCode::corrupt, [&] { return read(); });
    EXPECT_TRUE(test::mentions(error.detail, "longer than frames are")) << error.detail;
}

}  // namespace
}  // namespace ark
