#pragma once

#include <fcntl.h>

#include <filesystem>
#include <string>

#include "core/base/crc32c.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/control_file.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark::test {

constexpr uint64_t kFakeSystemIdentifier = 7710450802168248572ULL;
constexpr size_t kControlCrcAt = 288;  // of PG_CONTROL_VERSION 1300

inline void write_file(const std::string& path, std::string_view content) {
    std::filesystem::create_directories(parent_directory(path));
    File file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    file.write_all(as_bytes(content));
}

/// pg_control as PostgreSQL 15 writes it. `crc_at` is where a version puts its checksum.
inline Bytes make_control_file(uint64_t system_identifier = kFakeSystemIdentifier,
                               uint32_t checksums = 1, size_t crc_at = kControlCrcAt,
                               uint32_t version = 1300) {
    Bytes bytes(kControlFileBytes);
    store<uint64_t>(bytes, 0, system_identifier);
    store<uint32_t>(bytes, 8, version);
    store<uint32_t>(bytes, 12, 202209061);
    store<uint32_t>(bytes, 16, static_cast<uint32_t>(ClusterState::in_production));
    store<uint64_t>(bytes, 32, 0x2000028);
    store<uint32_t>(bytes, 48, 1);
    store<uint32_t>(bytes, 216, 8192);
    store<uint32_t>(bytes, 220, 131072);
    store<uint32_t>(bytes, 224, 8192);
    store<uint32_t>(bytes, 228, 16 << 20);
    store<uint32_t>(bytes, 252, checksums);
    store<uint32_t>(bytes, crc_at, crc32c(0, ByteView(bytes).first(crc_at)));
    return bytes;
}

/// A data directory as a server has it, without the server: directories, PG_VERSION, pg_control.
class FakeCluster {
 public:
    FakeCluster() {
        for (const char* name : {"base/1", "global", "pg_wal/archive_status", "pg_tblspc",
                                 "pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify",
                                 "pg_serial", "pg_snapshots", "pg_subtrans", "pg_xact"}) {
            std::filesystem::create_directories(path(name));
        }
        add("PG_VERSION", "15\n");
        add("base/1/PG_VERSION", "15\n");
        add("global/pg_control", as_text(make_control_file()));
    }

    std::string path() const { return directory_ / "data"; }
    std::string path(const std::string& relative) const { return path() + "/" + relative; }
    /// A place beside the data directory.
    std::string outside(const std::string& name) const { return directory_ / name; }

    void add(const std::string& relative, std::string_view content) const {
        write_file(path(relative), content);
    }
    void link(const std::string& relative, const std::string& target) const {
        std::filesystem::create_symlink(target, path(relative));
    }

 private:
    TemporaryDirectory directory_;
};

}  // namespace ark::test
