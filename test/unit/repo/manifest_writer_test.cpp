#include "core/repo/manifest_writer.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "test/support/packs.hpp"

namespace ark {
namespace {

IndexEntry file_of(const std::string& path) {
    IndexEntry entry;
    entry.path = path;
    entry.size = 8192;
    entry.modified = 1795140900999999;
    entry.crc32c = 0xE3069283;
    return entry;
}

std::string manifest_of(const std::vector<IndexEntry>& files, uint32_t version_num = 150008) {
    const auto store = make_memory_store();
    ObjectWriter object(*store, "c", ObjectKind::manifest, place::manifest("b"), {}, 1, true);
    ManifestWriter writer(object, version_num, 18446744073709551615ULL);
    for (const IndexEntry& file : files)
        writer.add(file);
    writer.finish(3, 0x2000028, 0x1000000FFULL);
    const WrittenObject written = object.finish();
    const Bytes text = test::tar_of(*store, "c/" + place::manifest("b"));
    EXPECT_EQ(written.plain_sha256, sha256_hex(text));
    return std::string(as_text(text));
}

// Byte for byte what src/backend/backup/backup_manifest.c of PostgreSQL 15 sends.
TEST(Manifest, Version1) {
    const std::string body =
        "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
        "\"Files\": [\n"
        "{ \"Path\": \"backup_label\", \"Size\": 8192, \"Last-Modified\": \"2026-11-20 02:15:00 "
        "GMT\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" },\n"
        "{ \"Path\": \"base/1/1\", \"Size\": 8192, \"Last-Modified\": \"2026-11-20 02:15:00 GMT\", "
        "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" }\n"
        "],\n"
        "\"WAL-Ranges\": [\n"
        "{ \"Timeline\": 3, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"1/FF\" }\n"
        "],\n";
    EXPECT_EQ(manifest_of({file_of("backup_label"), file_of("base/1/1")}),
              body + "\"Manifest-Checksum\": \"" + sha256_hex(as_bytes(body)) + "\"}\n");
}

TEST(Manifest, Version2NamesTheSystem) {
    const std::string text = manifest_of({file_of("a")}, 170000);
    EXPECT_TRUE(
        text.starts_with("{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
                         "\"System-Identifier\": 18446744073709551615,\n\"Files\": [\n"));
    EXPECT_TRUE(manifest_of({}, 160009).starts_with("{ \"PostgreSQL-Backup-Manifest-Version\": 1"));
}

TEST(Manifest, WithoutFilesIsStillJson) {
    EXPECT_TRUE(nlohmann::json::parse(manifest_of({})).at("Files").empty());
}

TEST(Manifest, EveryNameComesBack) {
    std::vector<IndexEntry> files;
    for (const char* path :
         {"quote\"d", "back\\slash", "tab\t new\nline \x01 \x1F \x7F", "umlaut \xC3\xA4",
          "\xF0\x9F\x98\x80", "not utf-8 \xFF", "half \xC3", "slash/", "</script>"}) {
        files.push_back(file_of(path));
    }
    const auto json = nlohmann::json::parse(manifest_of(files));
    ASSERT_EQ(json.at("Files").size(), files.size());
    for (size_t i = 0; i < files.size(); ++i) {
        const auto& file = json.at("Files")[i];
        const std::string path = file.contains("Path")
                                     ? file.at("Path").get<std::string>()
                                     : text_from_hex(file.at("Encoded-Path").get<std::string>());
        EXPECT_EQ(path, files[i].path);
        EXPECT_EQ(file.contains("Path"), is_utf8(files[i].path));
    }
}

}  // namespace
}  // namespace ark
