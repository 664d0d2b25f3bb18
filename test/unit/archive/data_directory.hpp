#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/crc32c.hpp"
#include "test/support/temporary_directory.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark::test {

inline void write_text(const std::string& path, std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
}

/// As much of a data directory as the archive's code looks at.
class DataDirectory {
 public:
    DataDirectory() {
        for (const char* name :
             {"", "/global", "/pg_wal", "/pg_wal/archive_status", "/pg_tblspc"}) {
            std::filesystem::create_directory(path() + name);
        }
        write_text(path() + "/PG_VERSION", "15\n");
        write_control(0);
    }

    std::string path() const { return directory_ / "data"; }
    std::string outside(const std::string& name) const { return directory_ / name; }

    void write_control(Lsn redo, Lsn replayed = 0, uint32_t replayed_timeline = 0) const {
        Bytes bytes(8192);
        store<uint64_t>(bytes, 0, WalBuilder::kSystemIdentifier);
        store<uint32_t>(bytes, 8, 1300);
        store<uint64_t>(bytes, 40, redo);
        store<uint64_t>(bytes, 136, replayed);
        store<uint32_t>(bytes, 144, replayed_timeline);
        store<uint32_t>(bytes, 216, 8192);
        store<uint32_t>(bytes, 220, 131072);
        store<uint32_t>(bytes, 228, static_cast<uint32_t>(WalBuilder::kSegmentSize));
        store<uint32_t>(bytes, 288, crc32c(0, ByteView(bytes).first(288)));
        write_text(path() + "/global/pg_control", as_text(bytes));
    }
    /// A file of pg_wal that waits for the archiver.
    void add_wal(const std::string& name, ByteView bytes) const {
        write_text(wal(name), as_text(bytes));
        write_text(ready(name), "");
    }
    std::string wal(const std::string& name) const { return path() + "/pg_wal/" + name; }
    std::string ready(const std::string& name) const {
        return path() + "/pg_wal/archive_status/" + name + ".ready";
    }
    /// What the archiver does after a success.
    void mark_done(const std::string& name) const {
        std::filesystem::rename(ready(name), path() + "/pg_wal/archive_status/" + name + ".done");
    }

 private:
    TemporaryDirectory directory_;
};

}  // namespace ark::test
