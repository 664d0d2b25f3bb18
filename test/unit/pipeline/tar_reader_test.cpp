#include "core/pipeline/tar_reader.hpp"

#include <algorithm>
#include <cstdio>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/pipeline/tar_writer.hpp"

namespace ark {
namespace {

class TarReaderTest : public testing::Test {
 protected:
    void append(ByteView bytes) { archive.insert(archive.end(), bytes.begin(), bytes.end()); }
    void add(const std::string& path, const std::string& content, uint32_t mode = 0600) {
        append(tar_file_header(path, content.size(), mode, 1));
        append(as_bytes(content));
        append(Bytes(tar_padding(content.size())));
    }
    void end() { append(tar_end()); }
    std::vector<TarMember> read() { return read_tar(archive, "a.tar"); }
    // Of the first member: with the checksum, so that the type alone is another.
    void set_type(char type) {
        constexpr size_t kType = 156;
        archive[kType] = static_cast<std::byte>(type);
        constexpr size_t kChecksum = 148;
        std::fill_n(archive.begin() + kChecksum, 8, std::byte{' '});
        unsigned sum = 0;
        for (size_t i = 0; i < kTarBlock; ++i)
            sum += std::to_integer<unsigned>(archive[i]);
        char text[8];
        std::snprintf(text, sizeof text, "%06o", sum);
        std::memcpy(archive.data() + kChecksum, text, 7);
    }
    void expect_damaged() {
        try {
            read();
            ADD_FAILURE() << "no error";
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::corrupt);
            EXPECT_NE(error.message.find("a.tar"), std::string::npos);
        }
    }
    Bytes archive;
};

TEST_F(TarReaderTest, WhatTheWriterWrites) {
    append(tar_directory_header("etc", 0750));
    add("etc/postgresql.conf", "port = 1\n", 0644);
    add("empty", "");
    add("block", std::string(512, 'b'));
    end();
    const auto members = read();
    ASSERT_EQ(members.size(), 4U);
    EXPECT_TRUE(members[0].is_directory);
    EXPECT_EQ(members[0].path, "etc");
    EXPECT_EQ(members[0].mode, 0750U);
    EXPECT_EQ(members[1].path, "etc/postgresql.conf");
    EXPECT_EQ(members[1].mode, 0644U);
    EXPECT_EQ(as_text(members[1].content), "port = 1\n");
    EXPECT_TRUE(members[2].content.empty());
    EXPECT_EQ(as_text(members[3].content), std::string(512, 'b'));
}

TEST_F(TarReaderTest, LongPaths) {
    const std::string in_prefix = std::string(120, 'd') + "/" + std::string(90, 'f');
    const std::string in_pax = std::string(300, 'n');
    add(in_prefix, "1");
    add(in_pax, "2");
    add("short", "3");
    end();
    const auto members = read();
    ASSERT_EQ(members.size(), 3U);
    EXPECT_EQ(members[0].path, in_prefix);
    EXPECT_EQ(members[1].path, in_pax);
    EXPECT_EQ(members[2].path, "short");
    EXPECT_EQ(as_text(members[2].content), "3");
}

TEST_F(TarReaderTest, EmptyArchive) {
    end();
    EXPECT_TRUE(read().empty());
}

TEST_F(TarReaderTest, MissingEnd) {
    add("f", "x");
    expect_damaged();
    append(Bytes(kTarBlock));
    expect_damaged();
}

TEST_F(TarReaderTest, CutShort) {
    add("f", std::string(2000, 'x'));
    archive.erase(archive.end() - 600, archive.end());
    expect_damaged();
}

TEST_F(TarReaderTest, EveryByteOfAHeaderIsChecked) {
    add("f", "x");
    end();
    constexpr size_t kAfterChecksum = 155;  // beyond the NUL that ends its digits
    for (size_t i = 0; i < kTarBlock; ++i) {
        if (i == kAfterChecksum)
            continue;
        const Bytes whole = archive;
        archive[i] ^= std::byte{1};
        EXPECT_THROW(read(), Error) << i;
        archive = whole;
    }
}

// Taken for none, the content would be read as headers, or the other way round.
TEST_F(TarReaderTest, ASizeThatIsNoNumberIsRefused) {
    for (const std::string& size : {std::string(), std::string("x"), std::string("1x"),
                                    std::string("18446744073709551616")}) {
        archive.clear();
        const std::string value = " size=" + size + "\n";
        const size_t length = value.size() + (value.size() < 9 ? 1 : 2);
        const std::string record = std::to_string(length) + value;
        append(tar_file_header("pax", record.size(), 0600, 1));
        set_type('x');
        append(as_bytes(record));
        append(Bytes(tar_padding(record.size())));
        add("f", "");
        end();
        expect_damaged();
    }
}

TEST_F(TarReaderTest, LinksAreRefused) {
    add("f", "");
    end();
    set_type('2');
    try {
        read();
        ADD_FAILURE() << "no error";
    } catch (const Error& error) {
        EXPECT_NE(error.detail.find("neither file nor directory"), std::string::npos)
            << error.detail;
    }
}

}  // namespace
}  // namespace ark
