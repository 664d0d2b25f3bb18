# The one list of sources, in reading order, read by make and by CMake. A line is
#   VARIABLE += path
# and nothing else: no continuation, no wildcard, no trailing comment. A listed file that does not
# exist stops the build; an unlisted .cpp under src/ or test/ fails test/lint/sources.t.
#
# Variables: ENGINE_SOURCES, CLI_SOURCES, SERVER_SOURCES, UNIT_TEST_SOURCES, CONTRACT_TEST_SOURCES,
# VERSION_TEST_SOURCES.
# The one include path is src: "core/base/error.hpp", "cli/options.hpp", "server/settings.hpp" (test: ".",
# as in "test/unit/pages.hpp"). Every compiler call defines PG_ARK_VERSION, a string: default_version of
# pg_ark.control.

# src/core: the engine
#   base
ENGINE_SOURCES += src/core/base/error.cpp
ENGINE_SOURCES += src/core/base/bytes.cpp
ENGINE_SOURCES += src/core/base/clock.cpp
ENGINE_SOURCES += src/core/base/cancellation.cpp
ENGINE_SOURCES += src/core/base/crc32c.cpp
ENGINE_SOURCES += src/core/base/fault.cpp
ENGINE_SOURCES += src/core/base/file.cpp
ENGINE_SOURCES += src/core/base/memory.cpp
#   pgdata
ENGINE_SOURCES += src/core/pgdata/wal_name.cpp
ENGINE_SOURCES += src/core/pgdata/relation_name.cpp
ENGINE_SOURCES += src/core/pgdata/page.cpp
ENGINE_SOURCES += src/core/pgdata/control_file.cpp
ENGINE_SOURCES += src/core/pgdata/file_list.cpp
ENGINE_SOURCES += src/core/pgdata/timeline_history.cpp
ENGINE_SOURCES += src/core/pgdata/wal_page.cpp
ENGINE_SOURCES += src/core/pgdata/wal_record.cpp
ENGINE_SOURCES += src/core/pgdata/wal_reader.cpp
ENGINE_SOURCES += src/core/pgdata/wal_segment.cpp
ENGINE_SOURCES += src/core/pgdata/config_text.cpp
ENGINE_SOURCES += src/core/pgdata/access_text.cpp
#   pipeline
ENGINE_SOURCES += src/core/pipeline/digest.cpp
ENGINE_SOURCES += src/core/pipeline/content_hash.cpp
ENGINE_SOURCES += src/core/pipeline/zstd.cpp
ENGINE_SOURCES += src/core/pipeline/frame_crew.cpp
ENGINE_SOURCES += src/core/pipeline/tar_writer.cpp
ENGINE_SOURCES += src/core/pipeline/tar_reader.cpp
#   http
ENGINE_SOURCES += src/core/http/message.cpp
ENGINE_SOURCES += src/core/http/failure.cpp
ENGINE_SOURCES += src/core/http/crypto.cpp
ENGINE_SOURCES += src/core/http/body_check.cpp
ENGINE_SOURCES += src/core/http/patience.cpp
ENGINE_SOURCES += src/core/http/curl_transport.cpp
ENGINE_SOURCES += src/core/http/retry_transport.cpp
ENGINE_SOURCES += src/core/http/side_request.cpp
#   store
ENGINE_SOURCES += src/core/store/name.cpp
ENGINE_SOURCES += src/core/store/memory.cpp
ENGINE_SOURCES += src/core/store/local_tree.cpp
ENGINE_SOURCES += src/core/store/local_file.cpp
ENGINE_SOURCES += src/core/store/local.cpp
ENGINE_SOURCES += src/core/store/store_url.cpp
ENGINE_SOURCES += src/core/store/cloud/part_threads.cpp
ENGINE_SOURCES += src/core/store/cloud/cloud_upload.cpp
ENGINE_SOURCES += src/core/store/cloud/cloud_store.cpp
ENGINE_SOURCES += src/core/store/cloud/connection.cpp
ENGINE_SOURCES += src/core/store/s3/xml.cpp
ENGINE_SOURCES += src/core/store/s3/signature.cpp
ENGINE_SOURCES += src/core/store/s3/aws_files.cpp
ENGINE_SOURCES += src/core/store/s3/token_services.cpp
ENGINE_SOURCES += src/core/store/s3/credentials.cpp
ENGINE_SOURCES += src/core/store/s3/s3_api.cpp
ENGINE_SOURCES += src/core/store/s3/s3_transport.cpp
ENGINE_SOURCES += src/core/store/s3/s3_store.cpp
ENGINE_SOURCES += src/core/store/open_store.cpp
ENGINE_SOURCES += src/core/store/create_race.cpp
ENGINE_SOURCES += src/core/store/store_speed.cpp
ENGINE_SOURCES += src/core/store/store_check.cpp
#   repo
ENGINE_SOURCES += src/core/repo/object.cpp
ENGINE_SOURCES += src/core/repo/object_writer.cpp
ENGINE_SOURCES += src/core/repo/object_reader.cpp
ENGINE_SOURCES += src/core/repo/repository.cpp
ENGINE_SOURCES += src/core/repo/stored_segments.cpp
ENGINE_SOURCES += src/core/repo/marker.cpp
ENGINE_SOURCES += src/core/repo/index.cpp
ENGINE_SOURCES += src/core/repo/census.cpp
ENGINE_SOURCES += src/core/repo/probe.cpp
ENGINE_SOURCES += src/core/repo/evidence.cpp
#   archive
ENGINE_SOURCES += src/core/archive/fetch.cpp
ENGINE_SOURCES += src/core/archive/wal_source.cpp
ENGINE_SOURCES += src/core/archive/wal_scan.cpp
ENGINE_SOURCES += src/core/archive/tablespace_guard.cpp
ENGINE_SOURCES += src/core/archive/contain_tablespaces.cpp
ENGINE_SOURCES += src/core/archive/wal_get.cpp
ENGINE_SOURCES += src/core/archive/push.cpp
ENGINE_SOURCES += src/core/archive/push_ahead.cpp
#   backup
ENGINE_SOURCES += src/core/backup/page_verifier.cpp
ENGINE_SOURCES += src/core/backup/record_run.cpp
ENGINE_SOURCES += src/core/backup/pack_writer.cpp
ENGINE_SOURCES += src/core/backup/lane.cpp
ENGINE_SOURCES += src/core/backup/manifest_writer.cpp
ENGINE_SOURCES += src/core/backup/config_archive.cpp
ENGINE_SOURCES += src/core/backup/wal_wait.cpp
ENGINE_SOURCES += src/core/backup/cleanup.cpp
ENGINE_SOURCES += src/core/backup/missing_segments.cpp
ENGINE_SOURCES += src/core/backup/moved_databases.cpp
ENGINE_SOURCES += src/core/backup/job.cpp
#   restore
ENGINE_SOURCES += src/core/restore/target.cpp
ENGINE_SOURCES += src/core/restore/plan.cpp
ENGINE_SOURCES += src/core/restore/planning.cpp
ENGINE_SOURCES += src/core/restore/resolve.cpp
ENGINE_SOURCES += src/core/restore/tree.cpp
ENGINE_SOURCES += src/core/restore/running_server.cpp
ENGINE_SOURCES += src/core/restore/unfinished.cpp
ENGINE_SOURCES += src/core/restore/destination.cpp
ENGINE_SOURCES += src/core/restore/privileges.cpp
ENGINE_SOURCES += src/core/restore/kept_wal.cpp
ENGINE_SOURCES += src/core/restore/layout.cpp
ENGINE_SOURCES += src/core/restore/durability.cpp
ENGINE_SOURCES += src/core/restore/pack_reader.cpp
ENGINE_SOURCES += src/core/restore/large_file.cpp
ENGINE_SOURCES += src/core/restore/file_queue.cpp
ENGINE_SOURCES += src/core/restore/file_source.cpp
ENGINE_SOURCES += src/core/restore/file_lanes.cpp
ENGINE_SOURCES += src/core/restore/delta.cpp
ENGINE_SOURCES += src/core/restore/file_writer.cpp
ENGINE_SOURCES += src/core/restore/manifest.cpp
ENGINE_SOURCES += src/core/restore/server_config.cpp
ENGINE_SOURCES += src/core/restore/server_module.cpp
ENGINE_SOURCES += src/core/restore/server_program.cpp
ENGINE_SOURCES += src/core/restore/recovery_config.cpp
ENGINE_SOURCES += src/core/restore/job.cpp
#   drill
ENGINE_SOURCES += src/core/drill/guard.cpp
ENGINE_SOURCES += src/core/drill/processes.cpp
ENGINE_SOURCES += src/core/drill/guarded_process.cpp
ENGINE_SOURCES += src/core/drill/host.cpp
ENGINE_SOURCES += src/core/drill/watch.cpp
ENGINE_SOURCES += src/core/drill/scratch_directory.cpp
ENGINE_SOURCES += src/core/drill/server_log.cpp
ENGINE_SOURCES += src/core/drill/programs.cpp
ENGINE_SOURCES += src/core/drill/server_settings.cpp
ENGINE_SOURCES += src/core/drill/scratch_server.cpp
ENGINE_SOURCES += src/core/drill/page_check.cpp
ENGINE_SOURCES += src/core/drill/session.cpp
ENGINE_SOURCES += src/core/drill/inventory.cpp
ENGINE_SOURCES += src/core/drill/task_pool.cpp
ENGINE_SOURCES += src/core/drill/check_extensions.cpp
ENGINE_SOURCES += src/core/drill/check_queries.cpp
ENGINE_SOURCES += src/core/drill/database_check.cpp
ENGINE_SOURCES += src/core/drill/database_files.cpp
ENGINE_SOURCES += src/core/drill/database_answers.cpp
ENGINE_SOURCES += src/core/drill/server_preparation.cpp
ENGINE_SOURCES += src/core/drill/restored_files.cpp
ENGINE_SOURCES += src/core/drill/job.cpp
#   verify
ENGINE_SOURCES += src/core/verify/context.cpp
ENGINE_SOURCES += src/core/verify/packs.cpp
ENGINE_SOURCES += src/core/verify/files.cpp
ENGINE_SOURCES += src/core/verify/manifest.cpp
ENGINE_SOURCES += src/core/verify/timelines.cpp
ENGINE_SOURCES += src/core/verify/wal.cpp
ENGINE_SOURCES += src/core/verify/job.cpp

# src/cli: the executable
CLI_SOURCES += src/cli/main.cpp
CLI_SOURCES += src/cli/command.cpp
CLI_SOURCES += src/cli/own_program.cpp
CLI_SOURCES += src/cli/traffic.cpp
CLI_SOURCES += src/cli/list.cpp
CLI_SOURCES += src/cli/info.cpp
CLI_SOURCES += src/cli/version.cpp
CLI_SOURCES += src/cli/restore_wal.cpp
CLI_SOURCES += src/cli/progress_bar.cpp
CLI_SOURCES += src/cli/interrupts.cpp
CLI_SOURCES += src/cli/evidence_report.cpp
CLI_SOURCES += src/cli/restore_report.cpp
CLI_SOURCES += src/cli/restore.cpp
CLI_SOURCES += src/cli/check.cpp
CLI_SOURCES += src/cli/verify.cpp
CLI_SOURCES += src/cli/drill.cpp
CLI_SOURCES += src/cli/wal_get.cpp
CLI_SOURCES += src/cli/server_backup.cpp
CLI_SOURCES += src/cli/server_archive.cpp
CLI_SOURCES += src/cli/server_catalog.cpp
CLI_SOURCES += src/cli/server_verify.cpp
CLI_SOURCES += src/cli/server_drill.cpp
CLI_SOURCES += src/cli/child/message.cpp
CLI_SOURCES += src/cli/child/channel.cpp
CLI_SOURCES += src/cli/child/opening.cpp
CLI_SOURCES += src/cli/child/role.cpp

# src/server: pg_ark.so
SERVER_SOURCES += src/server/settings.cpp
SERVER_SOURCES += src/server/shared.cpp
SERVER_SOURCES += src/server/jobs.cpp
SERVER_SOURCES += src/server/preconditions.cpp
SERVER_SOURCES += src/server/repository_url.cpp
SERVER_SOURCES += src/server/clone.cpp
SERVER_SOURCES += src/server/control_file.cpp
SERVER_SOURCES += src/server/module.cpp
SERVER_SOURCES += src/server/launcher.cpp
SERVER_SOURCES += src/server/job_worker.cpp
SERVER_SOURCES += src/server/job_row.cpp
SERVER_SOURCES += src/server/worker.cpp
SERVER_SOURCES += src/server/sql_call.cpp
SERVER_SOURCES += src/server/protocol.cpp
SERVER_SOURCES += src/server/child.cpp
SERVER_SOURCES += src/server/conversation.cpp
SERVER_SOURCES += src/server/known_repository.cpp
SERVER_SOURCES += src/server/catalog_client.cpp
SERVER_SOURCES += src/server/backup_job.cpp
SERVER_SOURCES += src/server/backup_conversation.cpp
SERVER_SOURCES += src/server/backup_sql.cpp
SERVER_SOURCES += src/server/census.cpp
SERVER_SOURCES += src/server/backup_log.cpp
SERVER_SOURCES += src/server/corrupt_pages.cpp
SERVER_SOURCES += src/server/relation_names.cpp
SERVER_SOURCES += src/server/scratch.cpp
SERVER_SOURCES += src/server/test_job.cpp
SERVER_SOURCES += src/server/test_conversation.cpp
SERVER_SOURCES += src/server/test_rows.cpp
SERVER_SOURCES += src/server/sweep_tests.cpp
SERVER_SOURCES += src/server/sweep.cpp
SERVER_SOURCES += src/server/archive_module.cpp
SERVER_SOURCES += src/server/archive_child.cpp
SERVER_SOURCES += src/server/launch.cpp
SERVER_SOURCES += src/server/launch_backup.cpp
SERVER_SOURCES += src/server/launch_test.cpp
SERVER_SOURCES += src/server/job_options.cpp
SERVER_SOURCES += src/server/backup_options.cpp
SERVER_SOURCES += src/server/log_lookup.cpp
SERVER_SOURCES += src/server/sql_install.cpp
SERVER_SOURCES += src/server/sql_backup.cpp
SERVER_SOURCES += src/server/wait_notice.cpp
SERVER_SOURCES += src/server/sql_wait.cpp
SERVER_SOURCES += src/server/sql_test.cpp
SERVER_SOURCES += src/server/sql_status.cpp
SERVER_SOURCES += src/server/preflight.cpp
SERVER_SOURCES += src/server/preflight_repository.cpp
SERVER_SOURCES += src/server/preflight_server.cpp
SERVER_SOURCES += src/server/preflight_oom.cpp

# test/unit: fast, no files beyond a temporary directory
UNIT_TEST_SOURCES += test/unit/base/bytes_test.cpp
UNIT_TEST_SOURCES += test/unit/base/clock_test.cpp
UNIT_TEST_SOURCES += test/unit/base/crc32c_test.cpp
UNIT_TEST_SOURCES += test/unit/base/error_test.cpp
UNIT_TEST_SOURCES += test/unit/base/file_test.cpp
UNIT_TEST_SOURCES += test/unit/base/fault_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/wal_name_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/relation_name_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/page_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/control_file_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/file_list_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/timeline_history_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/wal_record_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/wal_reader_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/wal_segment_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/config_text_test.cpp
UNIT_TEST_SOURCES += test/unit/pgdata/access_text_test.cpp
UNIT_TEST_SOURCES += test/unit/pipeline/digest_test.cpp
UNIT_TEST_SOURCES += test/unit/pipeline/content_hash_test.cpp
UNIT_TEST_SOURCES += test/unit/pipeline/zstd_test.cpp
UNIT_TEST_SOURCES += test/unit/pipeline/frame_crew_test.cpp
UNIT_TEST_SOURCES += test/unit/pipeline/tar_writer_test.cpp
UNIT_TEST_SOURCES += test/unit/store/local_test.cpp
UNIT_TEST_SOURCES += test/unit/store/open_store_test.cpp
UNIT_TEST_SOURCES += test/unit/store/store_url_test.cpp
UNIT_TEST_SOURCES += test/unit/store/store_check_test.cpp
UNIT_TEST_SOURCES += test/unit/store/s3/signature_test.cpp
UNIT_TEST_SOURCES += test/unit/store/s3/credentials_test.cpp
UNIT_TEST_SOURCES += test/unit/store/s3/s3_transport_test.cpp
UNIT_TEST_SOURCES += test/unit/http/message_test.cpp
UNIT_TEST_SOURCES += test/unit/http/body_check_test.cpp
UNIT_TEST_SOURCES += test/unit/http/retry_transport_test.cpp
UNIT_TEST_SOURCES += test/unit/http/curl_transport_test.cpp
UNIT_TEST_SOURCES += test/unit/pipeline/tar_reader_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/target_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/plan_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/resolve_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/recovery_config_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/server_config_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/server_module_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/server_program_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/tree_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/kept_wal_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/destination_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/large_file_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/file_queue_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/delta_test.cpp
UNIT_TEST_SOURCES += test/unit/restore/job_test.cpp
UNIT_TEST_SOURCES += test/unit/verify/job_test.cpp
UNIT_TEST_SOURCES += test/unit/verify/wal_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/object_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/object_writer_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/repository_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/stored_segments_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/marker_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/index_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/census_test.cpp
UNIT_TEST_SOURCES += test/unit/repo/evidence_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/page_verifier_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/record_run_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/pack_writer_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/lane_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/manifest_writer_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/config_archive_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/wal_wait_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/cleanup_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/missing_segments_test.cpp
UNIT_TEST_SOURCES += test/unit/backup/job_test.cpp
UNIT_TEST_SOURCES += test/unit/cli/message_test.cpp
UNIT_TEST_SOURCES += test/unit/cli/channel_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/fetch_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/wal_source_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/wal_scan_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/tablespace_guard_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/contain_tablespaces_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/wal_get_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/push_test.cpp
UNIT_TEST_SOURCES += test/unit/archive/push_ahead_test.cpp

# test/contract: one suite for every object store
CONTRACT_TEST_SOURCES += test/contract/store_test.cpp

# test/versions: compiled with each PostgreSQL's headers
VERSION_TEST_SOURCES += test/versions/layout.cpp
