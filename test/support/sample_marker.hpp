#pragma once

#include "core/repo/marker.hpp"

namespace ark::test {

/// A marker in which no field has its default.
inline BackupMarker sample_marker() {
    BackupMarker m;
    m.backup_id = "manual_20261120_021500_9f3a01bc";
    m.type = "incremental";
    m.backup_type = "manual";
    m.reason = "before \"migration\" 42\n";
    m.created_by = "7f2c1d8e-0000-4000-8000-000000000001";
    m.role = "b\xC3\xB6ss";
    m.superuser = "postgres";
    m.parent = "full_1";
    m.parent_index_sha256 = std::string(64, 'b');
    m.full_because = "there is no \xFF backup yet";
    m.changes = IncrementalSummary{1, 2, 3, 4, 5, 6};
    m.started_at = 1795140900123456;
    m.stopped_at = 1795140901123456;
    m.completed_at = 1795140902123456;
    m.timeline = 3;
    m.start_lsn = 0x2000028;
    m.stop_lsn = 0xA00000100;
    m.start_segment = "000000030000000000000002";
    m.stop_segment = "000000030000000A00000000";
    m.stop_snapshot = "730:735:731,733";
    m.system_identifier = 0xFFFFFFFFFFFFFFFFULL;
    m.cluster = "main";
    m.pg_version = "15.8";
    m.pg_version_num = 150008;
    m.catalog_version = 202209061;
    m.control_version = 1300;
    m.wal_segment_size = 16 << 20;
    m.block_size = 8192;
    m.relation_segment_blocks = 131072;
    m.data_checksum_version = 1;
    m.page_checksums_verified = true;
    m.pages_verified = 12345;
    m.corrupt_page_count = 2;
    m.corrupt_pages = {{"base/1/16384", 7, "checksum mismatch"},
                       {"pg_tblspc/1/PG_15_\xFF/5/1", 131073, "invalid page header"}};
    m.files = 1000;
    m.database_bytes = 1ULL << 40;
    m.stored_bytes = 1ULL << 38;
    m.packs = {{1000, "aa"}, {0, ""}, {1ULL << 33, "cc"}};
    m.manifest_sha256 = "dd";
    m.census_sha256 = std::string(64, 'c');
    m.index_sha256 = "ee";
    m.tablespaces = {{16400, "/mnt/\xE4\xF6"}, {4294967295U, "/mnt/b"}};
    m.data_directory = "/var/lib/\xFF";
    m.config_files = {{"config_file", "/etc/pg/postgresql.conf"}, {"hba_file", "/etc/\xFE.conf"}};
    m.config_includes = {"/etc/pg/conf.d/a.conf", "/etc/\xFD"};
    m.has_config_archive = true;
    m.program_version = "1.0.0";
    m.writer = {"db1", "boot", "/var/lib/\xFF", 1795140902123456};
    return m;
}

}  // namespace ark::test
