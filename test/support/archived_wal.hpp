#pragma once

#include <string>

#include "core/backup/host.hpp"
#include "core/repo/repository.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark::test {

inline BackupRequest request_for(const FakeCluster& cluster) {
    BackupRequest request;
    request.id = "manual_1";
    request.backup_type = "manual";
    request.reason = "a test";
    request.role = "tester";
    request.started_at = 1795140800000000;
    request.data_directory = cluster.path();
    request.cluster = "main";
    request.system_identifier = kFakeSystemIdentifier;
    request.pg_version = "15.8";
    request.pg_version_num = 150008;
    request.compression_level = 1;
    request.wal_timeout_seconds = 0;
    return request;
}

/// The segment is in the repository and the server's archiver knows it, or one of both.
inline void archive_segment(ObjectStore& store, const FakeCluster& cluster, uint64_t number,
                            bool stored = true, bool done = true) {
    const std::string segment = segment_name({1, number}, 16 << 20);
    cluster.add("pg_wal/" + segment, "x");
    cluster.add("pg_wal/archive_status/" + segment + (done ? ".done" : ".ready"), "");
    if (stored) {
        store_object(store, "main", ObjectKind::wal, place::segment(segment), as_bytes("x"),
                     make_writer(cluster.path()), 1);
    }
}

}  // namespace ark::test
