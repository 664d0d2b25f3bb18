#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backup/pack_writer.hpp"
#include "core/backup/record_run.hpp"
#include "core/repo/chain.hpp"
#include "core/repo/manifest_writer.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/object_writer.hpp"
#include "core/repo/repository.hpp"
#include "core/repo/vault_store.hpp"

namespace ark::test {

constexpr uint32_t kBlock = 8192;

/// What an incremental backup has of a file.
struct ChangedBlocks {
    uint64_t file_size = 0;
    std::vector<BlockRun> runs;
    std::string blocks;  ///< of the runs, in their order
};

/// A backup of made-up files, written into a repository the way a real one is, without its WAL.
class StoredBackup {
 public:
    explicit StoredBackup(Repository& repository) : repository_(repository) {
        marker.backup_id = "manual_20261120_021500_00000001";
        marker.cluster = "7301";
        marker.system_identifier = 7301;
        marker.timeline = 1;
        marker.start_lsn = 0x2000028;
        marker.stop_lsn = 0x2000100;
        marker.pg_version = "15.8";
        marker.pg_version_num = 150008;
        marker.catalog_version = 202209061;
        marker.wal_segment_size = 16 << 20;
        marker.block_size = kBlock;
        marker.relation_segment_blocks = 131072;
        marker.data_directory = "/srv/source";
        files["PG_VERSION"] = "15\n";
        files["backup_label"] = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n";
        files["global/pg_control"] = std::string(8192, 'c');
        files["postgresql.conf"] = "port = 5432\n";
        files["pg_hba.conf"] = "local all all trust\n";
        files["pg_ident.conf"] = "";
        files["postgresql.auto.conf"] = "work_mem = '4MB'\n";
        directories = {"base", "base/1", "global", "pg_tblspc", "pg_wal"};
    }

    /// Writes packs, index and manifest; fills in the rest of the marker.
    void store() {
        PackSet packs(repository_, marker.cluster, marker.backup_id, {}, 1);
        if (checksums_blocks)
            packs.checksum_blocks(marker.block_size);
        RecordRun files_run;
        RecordRun directories_run;
        PackWriter writer(packs, files_run);
        // By their paths, as a lane has them.
        std::map<std::string, const ChangedBlocks*> all;
        for (const auto& [path, content] : files)
            all[path] = nullptr;
        for (const auto& [path, content] : changed)
            all[path] = &content;
        for (const auto& [path, blocks] : all) {
            if (blocks != nullptr) {
                add_changed(writer, path, *blocks);
            } else if (!is_last(path)) {
                add(writer, path, files[path]);
            }
        }
        writer.finish();
        RecordRun last_run;  // a run is in path order
        PackWriter last(packs, last_run);
        for (const auto& [path, content] : files) {
            if (is_last(path))
                add(last, path, content);
        }
        last.finish();
        files_run.seal();
        last_run.seal();
        for (const std::string& path : directories) {
            IndexEntry entry;
            entry.path = path;
            entry.type = EntryType::directory;
            entry.mode = 0700;
            directories_run.add(entry);
        }
        directories_run.seal();
        marker.packs = packs.packs();
        RecordMerge merge({&files_run, &last_run, &directories_run});
        write_index(merge);
    }

    /// The marker, as it is now; encrypted where there is a vault.
    void commit() {
        const std::string place = place::marker(marker.backup_id);
        const std::string text = to_json(marker);
        const auto vault = vault_of(repository_.store(), marker.cluster);
        ObjectSealer sealer(1);
        repository_.store().put_if_absent(marker.cluster + "/" + place,
                                          vault ? sealer.seal({ObjectKind::marker,
                                                               place,
                                                               kCipherNone,
                                                               text.size(),
                                                               content_hash(as_bytes(text)),
                                                               {}},
                                                              as_bytes(text), vault.get())
                                                : as_bytes(text));
    }

    std::string pack_name(uint32_t number) const {
        return marker.cluster + "/" + place::pack(marker.backup_id, number);
    }

    BackupMarker marker;
    std::map<std::string, std::string> files;
    std::map<std::string, ChangedBlocks> changed;  ///< instead of whole files
    std::vector<std::string> directories;          ///< in path order
    bool checksums_blocks = true;
    std::optional<Lsn> manifest_stop;                               ///< instead of the marker's
    std::function<void(IndexEntry&)> falsify = [](IndexEntry&) {};  ///< what the index says

 private:
    static bool is_last(const std::string& path) {
        return path == "backup_label" || path == "global/pg_control";
    }
    static void add(PackWriter& writer, const std::string& path, const std::string& content) {
        IndexEntry entry;
        entry.path = path;
        entry.size = content.size();
        writer.add_file(entry, [&](MutableByteView buffer, uint64_t offset) {
            std::memcpy(buffer.data(), content.data() + offset, buffer.size());
        });
    }

    void add_changed(PackWriter& writer, const std::string& path, const ChangedBlocks& content) {
        const Bytes header = incremental_header(content.runs, content.file_size / kBlock, kBlock);
        const std::string member = std::string(as_text(header)) + content.blocks;
        IndexEntry entry;
        entry.path = path;
        entry.size = member.size();
        entry.incremental = IncrementalContent{content.file_size, content.runs};
        writer.add_file(entry, [&](MutableByteView buffer, uint64_t offset) {
            std::memcpy(buffer.data(), member.data() + offset, buffer.size());
        });
    }

    void write_index(RecordMerge& merge) {
        const auto object = [&](ObjectKind kind, const std::string& place) {
            return ObjectWriter(repository_.store(), marker.cluster, kind, place, {}, 1, true);
        };
        ObjectWriter index = object(ObjectKind::index, place::index(marker.backup_id));
        ObjectWriter manifest = object(ObjectKind::manifest, place::manifest(marker.backup_id));
        ManifestWriter manifest_writer(manifest, marker.pg_version_num, marker.system_identifier);
        while (auto entry = merge.next()) {
            falsify(*entry);
            index.append(as_bytes(to_json_line(*entry)));
            if (entry->type == EntryType::file)
                manifest_writer.add(*entry);
        }
        manifest_writer.finish(marker.timeline, marker.start_lsn,
                               manifest_stop.value_or(marker.stop_lsn));
        marker.index_sha256 = index.finish().plain_sha256;
        marker.manifest_sha256 = manifest.finish().plain_sha256;
    }

    Repository& repository_;
};

}  // namespace ark::test
