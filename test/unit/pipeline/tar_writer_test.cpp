#include "core/pipeline/tar_writer.hpp"

#include <sys/stat.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "test/support/command.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark {
namespace {

void append(Bytes& archive, ByteView more) {
    archive.insert(archive.end(), more.begin(), more.end());
}

void append_file(Bytes& archive, const std::string& path, std::string_view content) {
    append(archive, tar_file_header(path, content.size(), 0640, 1795140900));
    append(archive, as_bytes(content));
    archive.resize(archive.size() + tar_padding(content.size()));
}

// Unpacks with the system's tar.
class GnuTar : public testing::Test {
 protected:
    std::string unpack(Bytes archive, const std::string& environment = "") {
        append(archive, tar_end());
        test::write_file(directory / "a.tar", as_text(archive));
        std::filesystem::create_directory(directory / "out");
        return test::output_of(environment + " tar -xvf " + (directory / "a.tar") + " -C " +
                               (directory / "out") + " 2>&1");
    }
    std::string unpacked(const std::string& path) {
        return std::string(as_text(read_file(directory / ("out/" + path), 1 << 20)));
    }
    std::string list(const Bytes& archive) {
        test::write_file(directory / "a.tar", as_text(archive));
        return test::output_of("TZ=UTC tar -tvf " + (directory / "a.tar") + " 2>/dev/null || true");
    }
    test::TemporaryDirectory directory;
};

TEST_F(GnuTar, KeepsContentModeAndTime) {
    Bytes archive;
    append(archive, tar_directory_header("base", 0750));
    append_file(archive, "base/1", "content");
    append_file(archive, "base/2", "");
    append_file(archive, "base/3", std::string(512, 'x'));
    append_file(archive, "base/4", std::string(513, 'y'));
    unpack(archive);
    EXPECT_EQ(unpacked("base/1"), "content");
    EXPECT_EQ(unpacked("base/2"), "");
    EXPECT_EQ(unpacked("base/3"), std::string(512, 'x'));
    EXPECT_EQ(unpacked("base/4"), std::string(513, 'y'));
    struct stat st {};
    ASSERT_EQ(stat((directory / "out/base/1").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0640U);
    EXPECT_EQ(st.st_mtim.tv_sec, 1795140900);
    ASSERT_EQ(stat((directory / "out/base").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0750U);
}

// ustar's name has 100 bytes, its prefix 155, and no slash may be lost between them.
TEST_F(GnuTar, PathsOfEveryLength) {
    Bytes archive;
    std::vector<std::string> paths;
    for (const size_t directory_length : {1, 50, 99, 100, 101, 153, 154, 155, 156, 200}) {
        for (const size_t name_length : {1, 97, 98, 99, 100, 101, 155, 255}) {
            paths.push_back(std::string(directory_length, 'd') + "/" +
                            std::string(name_length, 'n'));
        }
    }
    for (const size_t length : {99, 100, 101, 155, 156, 255})
        paths.emplace_back(length, 'f');
    std::string deep = "deep";
    for (int i = 0; i < 40; ++i)
        deep += "/" + std::to_string(100000000 + i);
    paths.push_back(deep);
    for (const std::string& path : paths)
        append_file(archive, path, path);
    EXPECT_EQ(unpack(archive).find("tar:"), std::string::npos);
    for (const std::string& path : paths)
        EXPECT_EQ(unpacked(path), path);
}

TEST_F(GnuTar, DirectoriesOfEveryLength) {
    Bytes archive;
    std::vector<std::string> paths;
    for (const size_t length : {1, 98, 99, 100, 101, 154, 155, 156, 255})
        paths.emplace_back(length, 'd');
    for (const size_t length : {98, 99, 100, 101, 255})
        paths.push_back(std::string(120, 'p') + "/" + std::string(length, 'd'));
    for (const std::string& path : paths)
        append(archive, tar_directory_header(path, 0700));
    unpack(archive);
    for (const std::string& path : paths)
        EXPECT_TRUE(std::filesystem::is_directory(directory / ("out/" + path))) << path;
}

TEST_F(GnuTar, NamesThatAreNotUtf8InAnyLocale) {
    std::vector<std::string> paths{"short \xFF\xFE", "new\nline",        "quote\"d",
                                   "back\\slash",    "\x01\x7F control", "umlaut \xC3\xA4"};
    paths.push_back("long/" + std::string(200, '\xFF'));
    paths.push_back("long/" + std::string(200, '\xE4') + " = 7\n");
    for (const char* locale : {"LC_ALL=C", "LC_ALL=C.UTF-8"}) {
        Bytes archive;
        for (const std::string& path : paths)
            append_file(archive, path, path);
        unpack(archive, locale);
        for (const std::string& path : paths)
            EXPECT_EQ(unpacked(path), path) << locale << " " << to_hex(path);
        std::filesystem::remove_all(directory / "out");
    }
}

// The octal field ends at 8 GiB - 1.
TEST_F(GnuTar, SizesAroundEightGigabytes) {
    constexpr uint64_t kLimit = 8ULL << 30;
    for (const uint64_t size : {kLimit - 1, kLimit, kLimit + 1, 3 * kLimit + 12345}) {
        const std::string listing = list(tar_file_header("big", size, 0600, 0));
        EXPECT_NE(listing.find(" " + std::to_string(size) + " 1970-01-01"), std::string::npos)
            << listing;
        const std::string long_path = "p/" + std::string(255, 'x');
        const std::string both = list(tar_file_header(long_path, size, 0600, 0));
        EXPECT_NE(both.find(std::to_string(size)), std::string::npos) << both;
        EXPECT_NE(both.find(long_path), std::string::npos) << both;
    }
    EXPECT_EQ(tar_file_header("big", kLimit - 1, 0600, 0).size(), kTarBlock);
    EXPECT_EQ(tar_file_header("big", kLimit, 0600, 0).size(), 3 * kTarBlock);
}

// "<length> path=…": the length counts its own digits, also where it gains one.
TEST_F(GnuTar, PaxRecordsWhoseLengthGainsADigit) {
    for (size_t length = 980; length <= 1000; ++length) {
        std::string path;
        while (path.size() < length)
            path += std::string(std::min<size_t>(length - path.size(), 150), 'x') + "/";
        path.resize(length);
        if (path.back() == '/')
            path.back() = 'y';
        const Bytes header = tar_file_header(path, 0, 0600, 0);
        const std::string record(as_text(ByteView(header).subspan(kTarBlock)));
        const size_t told = std::stoul(record);
        ASSERT_EQ(record[told - 1], '\n') << length;
        EXPECT_EQ(record.substr(0, told), std::to_string(told) + " path=" + path + "\n");
    }
}

TEST(TarWriter, HeadersAreWholeBlocksAndPaddingFillsThem) {
    for (const size_t length : {1, 100, 101, 300, 4000})
        EXPECT_EQ(tar_file_header(std::string(length, 'x'), 1, 0600, 0).size() % kTarBlock, 0U);
    EXPECT_EQ(tar_padding(0), 0U);
    EXPECT_EQ(tar_padding(1), 511U);
    EXPECT_EQ(tar_padding(511), 1U);
    EXPECT_EQ(tar_padding(512), 0U);
    EXPECT_EQ(tar_padding(513), 511U);
    EXPECT_TRUE(is_all_zero(tar_end()));
    EXPECT_EQ(tar_end().size(), 1024U);
}

TEST(TarWriter, TimesBeforeTheEpochBecomeTheEpoch) {
    EXPECT_EQ(tar_file_header("f", 1, 0600, -1), tar_file_header("f", 1, 0600, 0));
}

}  // namespace
}  // namespace ark
