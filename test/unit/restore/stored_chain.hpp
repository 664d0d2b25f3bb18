#pragma once

#include <deque>
#include <memory>
#include <string>

#include "test/unit/restore/stored_backup.hpp"

namespace ark::test {

/// Content that is not compressible, different for each seed.
inline std::string noise_of(size_t size, uint32_t seed) {
    std::string out(size, '\0');
    for (char& c : out) {
        seed = seed * 1664525 + 1013904223;
        c = static_cast<char>(seed >> 24);
    }
    return out;
}

/// So many blocks.
inline std::string blocks_of(uint32_t count, uint32_t seed) {
    return noise_of(size_t{count} * kBlock, seed);
}

/// Backups that build on each other: b1, which is full, b2, and so on.
class StoredChain {
 public:
    explicit StoredChain(Repository& repository) : repository_(&repository) {}

    /// No backup yet, in another repository.
    void begin_anew(Repository& repository) {
        backups.clear();
        repository_ = &repository;
    }

    StoredBackup& add() {
        StoredBackup& b = backups.emplace_back(*repository_);
        const size_t n = backups.size();
        b.marker.backup_id = "b" + std::to_string(n);
        b.marker.type = n == 1 ? "full" : "incremental";
        b.marker.parent = n == 1 ? "" : "b" + std::to_string(n - 1);
        b.marker.start_lsn = n * 0x1000000;
        b.marker.stop_lsn = b.marker.start_lsn + 0x100;
        if (n > 1) {
            b.files["backup_label"] += "INCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 1\n";
        }
        return b;
    }
    /// An incremental file of these runs of the content that the file has now.
    static ChangedBlocks changed(const std::string& content, std::vector<BlockRun> runs) {
        ChangedBlocks out{content.size(), std::move(runs), {}};
        for (const BlockRun& run : out.runs)
            out.blocks += content.substr(size_t{run.first} * kBlock, size_t{run.length} * kBlock);
        return out;
    }
    void store() {
        for (size_t i = 0; i < backups.size(); ++i)
            store(i);
    }
    void store(size_t i) {
        if (i > 0)
            backups[i].marker.parent_index_sha256 = backups[i - 1].marker.index_sha256;
        backups[i].store();
        backups[i].commit();
    }
    void store_last() { store(backups.size() - 1); }
    BackupChain load() {
        const BackupMarker& tip = backups.back().marker;
        return load_chain(*repository_, tip.cluster,
                          find_backup(*repository_, tip.cluster, tip.backup_id).value());
    }

    std::deque<StoredBackup> backups;

 private:
    Repository* repository_;
};

/// Writes these runs of `from` over `to`, which gets as long.
inline void patch(std::string& to, const std::string& from, const std::vector<BlockRun>& runs) {
    to.resize(from.size());
    for (const BlockRun& run : runs) {
        to.replace(size_t{run.first} * kBlock, size_t{run.length} * kBlock,
                   from.substr(size_t{run.first} * kBlock, size_t{run.length} * kBlock));
    }
}

}  // namespace ark::test
