#include "core/backup/pack_writer.hpp"

#include <filesystem>

#include "core/pipeline/tar_writer.hpp"
#include "core/repo/block_checksums.hpp"
#include "test/support/command.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"
#include "test/support/packs.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

// Another content at each place of each file, so that nothing misplaced goes unseen.
Bytes content_for(const std::string& path, uint64_t size, uint64_t offset = 0) {
    Bytes out(size);
    const uint64_t salt = std::hash<std::string>{}(path);
    for (uint64_t i = 0; i < size; ++i)
        out[i] = static_cast<std::byte>((salt >> ((offset + i) % 8)) + (offset + i) / 251);
    return out;
}

class Packed : public testing::Test {
 protected:
    Packed()
        : repository(Repository::open(make_memory_store(), OpenMode::create)),
          packs(*repository, "c", "b", Writer{"h", "b", "d", 0}, 1) {}

    void add(PackWriter& writer, RecordRun& run, const std::string& path, uint64_t size) {
        IndexEntry entry;
        entry.path = path;
        entry.size = size;
        entry.modified = 1795140900000000;
        writer.add_file(
            std::move(entry),
            [&](MutableByteView buffer, uint64_t offset) {
                std::ranges::copy(content_for(path, buffer.size(), offset), buffer.begin());
            },
            run);
    }

    // Packs files of these sizes, one after another, and reads each back by its record.
    void round_trip(const std::vector<uint64_t>& sizes) {
        RecordRun run;
        {
            PackWriter writer(packs, run);
            for (size_t i = 0; i < sizes.size(); ++i)
                add(writer, run, path_of(i), sizes[i]);
            writer.finish();
        }
        run.seal();
        for (size_t i = 0; i < sizes.size(); ++i) {
            const std::optional<IndexEntry> entry = run.next();
            ASSERT_TRUE(entry) << "a record is lost: " << i << " of " << sizes.size();
            ASSERT_EQ(entry->path, path_of(i)) << "records out of order";
            ASSERT_EQ(entry->size, sizes[i]);
            ASSERT_EQ(test::content_of(repository->store(), "c", "b", *entry),
                      content_for(entry->path, sizes[i]))
                << sizes[i];
            if (sizes[i] + kTarBlock <= kFrameBytes - kTarBlock) {
                ASSERT_LE(entry->frames.size(), 1U) << "a small file is in one frame";
            }
        }
        EXPECT_FALSE(run.next()) << "a record too many";
    }
    static std::string path_of(size_t i) {
        std::string digits = std::to_string(i);
        return "base/5/" + std::string(6 - digits.size(), '0') + digits;
    }

    std::unique_ptr<Repository> repository;
    PackSet packs;
};

TEST_F(Packed, EachSizeAroundBlocksAndFramesAlone) {
    std::vector<uint64_t> sizes{0, 1, 2, 510, 511, 512, 513, 1023, 1024, 1025, 8192, 65536};
    for (const uint64_t frames : {1, 2, 3}) {
        for (const int64_t more :
             {-1537, -1536, -1025, -1024, -1023, -513, -512, -511, -1, 0, 1, 511, 512, 513}) {
            sizes.push_back(frames * kFrameBytes + static_cast<uint64_t>(more));
        }
    }
    for (const uint64_t size : sizes) {
        SCOPED_TRACE(size);
        round_trip({size});
        if (HasFatalFailure())
            return;
    }
}

TEST_F(Packed, SmallFilesFillFramesExactly) {
    // Header and content of 1 KiB each: 1024 files fill a frame to the last byte.
    round_trip(std::vector<uint64_t>(2050, 512));
}

TEST_F(Packed, EmptyFilesFillFramesExactly) {
    round_trip(std::vector<uint64_t>(4100, 0));
}

// Records wait for the frame that holds their end; whatever follows must let them go, in order.
TEST_F(Packed, EveryPairOfNeighbours) {
    const std::vector<uint64_t> kinds{0,
                                      1,
                                      512,
                                      kFrameBytes / 2,
                                      kFrameBytes - 1536,
                                      kFrameBytes - 1024,
                                      kFrameBytes - 512,
                                      kFrameBytes,
                                      kFrameBytes + 1,
                                      2 * kFrameBytes - 512,
                                      2 * kFrameBytes};
    for (const uint64_t first : kinds) {
        std::vector<uint64_t> sizes;
        for (const uint64_t second : kinds) {
            sizes.push_back(first);
            sizes.push_back(second);
        }
        SCOPED_TRACE(first);
        round_trip(sizes);
        if (HasFatalFailure())
            return;
    }
}

// Files whose tail leaves exactly room for the next header, or one block less or more.
TEST_F(Packed, TailsThatEndWhereAFrameEnds) {
    for (const uint64_t room : {0, 512, 1024, 1536, 2048}) {
        for (const uint64_t next : {0, 1, 512, 513, 1024, 2 << 20}) {
            SCOPED_TRACE(std::to_string(room) + " " + std::to_string(next));
            round_trip({0, kFrameBytes + kFrameBytes - room, next, 0, 1});
            round_trip({kFrameBytes - 1024 - room, next, 0, 1});
            if (HasFatalFailure())
                return;
        }
    }
}

TEST_F(Packed, TwoRunsKeepTheirOwnOrder) {
    RecordRun large;
    RecordRun rest;
    PackWriter writer(packs, rest);
    add(writer, large, "a", 3 * kFrameBytes + 100);
    add(writer, large, "b", 2 * kFrameBytes);
    add(writer, large, "c", kFrameBytes + 1);
    add(writer, rest, "0", 10);
    add(writer, rest, "1", 0);
    add(writer, rest, "2", kFrameBytes);
    writer.finish();
    large.seal();
    rest.seal();
    for (const char* path : {"a", "b", "c"}) {
        const auto entry = large.next();
        ASSERT_EQ(entry->path, path);
        EXPECT_EQ(test::content_of(repository->store(), "c", "b", *entry),
                  content_for(path, entry->size));
    }
    for (const char* path : {"0", "1", "2"}) {
        const auto entry = rest.next();
        ASSERT_EQ(entry->path, path);
        EXPECT_EQ(test::content_of(repository->store(), "c", "b", *entry),
                  content_for(path, entry->size));
    }
}

// One piece of a relation can be fetched by itself, and pages were checked where they were read to.
TEST_F(Packed, FramesOfALargeFileBeginAtPages) {
    RecordRun run;
    PackWriter writer(packs, run);
    add(writer, run, "0", 700);
    add(writer, run, "1", 3 * kFrameBytes + 8192);
    writer.finish();
    run.seal();
    run.next();
    const auto entry = run.next();
    EXPECT_EQ(entry->skip, 0U);
    EXPECT_EQ(entry->frames.size(), 4U);
}

TEST_F(Packed, PacksAreTarArchivesInARow) {
    RecordRun run;
    const std::string long_path = "base/" + std::string(120, 'd') + "/" + std::string(200, 'n');
    {
        PackWriter writer(packs, run);
        writer.add_directory("base", 0700);
        add(writer, run, "base/1", 2 * kFrameBytes - 512);
        add(writer, run, long_path, 1000);
        writer.finish();
        writer.finish();  // nothing open: nothing happens
        PackWriter second(packs, run);
        add(second, run, "base/2", 0);
        add(second, run, "base/3", kFrameBytes);
        second.finish();
    }
    const test::TemporaryDirectory directory;
    Bytes tar;
    for (const uint32_t number : {0U, 1U}) {
        const Bytes one = test::tar_of(repository->store(), "c/" + place::pack("b", number));
        EXPECT_EQ(one.size() % kTarBlock, 0U);
        tar.insert(tar.end(), one.begin(), one.end());
    }
    test::write_file(directory / "a.tar", as_text(tar));
    std::filesystem::create_directory(directory / "out");
    test::output_of("tar -xif " + (directory / "a.tar") + " -C " + (directory / "out"));
    for (const auto& [path, size] :
         std::vector<std::pair<std::string, uint64_t>>{{"base/1", 2 * kFrameBytes - 512},
                                                       {long_path, 1000},
                                                       {"base/2", 0},
                                                       {"base/3", kFrameBytes}}) {
        EXPECT_EQ(read_file(directory / ("out/" + path), 8 << 20), content_for(path, size)) << path;
    }
}

// Of the blocks of relations' files, beside the content.
TEST_F(Packed, ChecksumsOfBlocks) {
    packs.checksum_blocks(8192);
    RecordRun run;
    const std::vector<uint64_t> sizes{
        kFrameBytes, kFrameBytes + 1, 100, 2 * kFrameBytes, 3 * kFrameBytes + 8192 + 7, 5000};
    {
        PackWriter writer(packs, run);
        for (size_t i = 0; i < sizes.size(); ++i)
            add(writer, run, path_of(i + 100000), sizes[i]);
        add(writer, run, path_of(199999) + "_fsm", 2 * kFrameBytes);
        writer.finish();
    }
    run.seal();
    for (const uint64_t size : sizes) {
        const std::optional<IndexEntry> entry = run.next();
        ASSERT_TRUE(entry);
        const Bytes content = test::content_of(repository->store(), "c", "b", *entry);
        EXPECT_EQ(content, content_for(entry->path, size)) << size;
        std::vector<uint64_t> expected;
        if (size > kFrameBytes)
            append_block_checksums(content, 8192, expected);
        std::vector<uint64_t> stored;
        for (const FrameRef& ref : entry->block_checksums) {
            Bytes frame(ref.stored);
            EXPECT_EQ(repository->store().get_range("c/" + place::pack("b", entry->pack),
                                                    ref.offset, frame),
                      frame.size());
            append_stored_checksums(frame, "x", stored);
        }
        EXPECT_EQ(stored, expected) << size;
    }
    EXPECT_TRUE(run.next()->block_checksums.empty()) << "of no main fork";
    // zstd passes over them.
    const Bytes tar = test::tar_of(repository->store(), "c/" + place::pack("b", 0));
    uint64_t tar_bytes = kTarBlock + 2 * kFrameBytes;
    for (const uint64_t size : sizes)
        tar_bytes += kTarBlock + size + tar_padding(size);
    EXPECT_EQ(tar.size(), tar_bytes);
}

TEST_F(Packed, TheSetKnowsSizesAndDigests) {
    RecordRun run;
    for (int i = 0; i < 3; ++i) {
        PackWriter writer(packs, run);
        add(writer, run, "f" + std::to_string(i), 5000);
        writer.finish();
    }
    ASSERT_EQ(packs.packs().size(), 3U);
    uint64_t stored = 0;
    for (uint32_t i = 0; i < 3; ++i) {
        const Bytes object = *repository->store().get("c/" + place::pack("b", i), 1 << 20);
        EXPECT_EQ(packs.packs()[i].stored_bytes, object.size());
        EXPECT_EQ(packs.packs()[i].sha256, sha256_hex(object));
        stored += object.size();
    }
    EXPECT_LE(packs.stored(), stored);
    EXPECT_EQ(packs.opened(), 3U);
}

TEST_F(Packed, AnUnfinishedPackIsInvisible) {
    RecordRun run;
    {
        PackWriter writer(packs, run);
        add(writer, run, "f", 3 * kFrameBytes);
    }
    EXPECT_FALSE(repository->store().head("c/" + place::pack("b", 0)));
}

TEST_F(Packed, AnErrorOfTheSourceComesThrough) {
    RecordRun run;
    PackWriter writer(packs, run);
    IndexEntry entry;
    entry.path = "f";
    entry.size = 5 * kFrameBytes;
    test::expect_error(ErrorCode::cancelled, [&] {
        writer.add_file(
            entry,
            [](MutableByteView, uint64_t offset) {
                if (offset > 0)
                    throw Error(ErrorCode::cancelled, "stop");
            },
            run);
        return 0;
    });
}

// Drops what is written: for more than fits in memory.
class Abyss final : public Upload {
 public:
    void write(ByteView /*bytes*/) override {}
    PutResult finish() override { return PutResult::created; }
    void cancel() noexcept override {}
};

TEST(PackSize, ANewPackBeginsAfter256MiB) {
    class AbyssStore final : public ObjectStore {
     public:
        PutResult put_if_absent(const std::string& name, ByteView content) override {
            return inner->put_if_absent(name, content);
        }
        std::unique_ptr<Upload> start_upload(const std::string& /*name*/) override {
            return std::make_unique<Abyss>();
        }
        std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
            return inner->get(name, limit);
        }
        size_t get_range(const std::string& name, uint64_t offset,
                         MutableByteView buffer) override {
            return inner->get_range(name, offset, buffer);
        }
        std::optional<ObjectInfo> head(const std::string& name) override {
            return inner->head(name);
        }
        void list(const std::string& prefix,
                  const std::function<bool(const ObjectInfo&)>& visit) override {
            inner->list(prefix, visit);
        }
        std::vector<std::string> list_parts(const std::string& prefix) override {
            return inner->list_parts(prefix);
        }
        bool remove(const std::string& name) override { return inner->remove(name); }
        std::optional<uint64_t> free_bytes() override { return std::nullopt; }
        std::string url() const override { return "abyss:"; }
        std::unique_ptr<ObjectStore> inner = make_memory_store();
    };
    const auto repository = Repository::open(std::make_unique<AbyssStore>(), OpenMode::create);
    PackSet packs(*repository, "c", "b", Writer{}, -50);
    Bytes noise(kFrameBytes);
    uint64_t state = 88172645463325252ULL;
    for (size_t i = 0; i + 8 <= noise.size(); i += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        store<uint64_t>(noise, i, state);
    }
    RecordRun run;
    PackWriter writer(packs, run);
    const auto source = [&](MutableByteView buffer, uint64_t /*offset*/) {
        std::memcpy(buffer.data(), noise.data(), buffer.size());
    };
    for (const uint64_t megabytes : {200, 100, 1}) {
        IndexEntry entry;
        entry.path = std::to_string(megabytes);
        entry.size = megabytes << 20;
        writer.add_file(std::move(entry), source, run);
    }
    writer.finish();
    run.seal();
    EXPECT_EQ(run.next()->pack, 0U);
    const auto spanning = run.next();
    EXPECT_EQ(spanning->pack, 0U) << "a file never spans packs";
    EXPECT_EQ(spanning->frames.size(), 100U);
    EXPECT_EQ(run.next()->pack, 1U);
    EXPECT_EQ(packs.packs().size(), 2U);
    EXPECT_EQ(packs.stored(), packs.packs()[0].stored_bytes + packs.packs()[1].stored_bytes);
}

}  // namespace
}  // namespace ark
