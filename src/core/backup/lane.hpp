#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "core/backup/change_audit.hpp"
#include "core/backup/host.hpp"
#include "core/backup/incremental_plan.hpp"
#include "core/backup/pack_writer.hpp"
#include "core/backup/page_verifier.hpp"
#include "core/backup/record_run.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/pgdata/file_list.hpp"

namespace ark {

/// What the lanes of one backup share. The counters may be read from any thread at any time.
struct CopyState {
    CopyState(const FileList& files_in, std::string data_directory_in,
              const ControlFile& control_in, Lsn start_lsn_in)
        : files(files_in),
          data_directory(std::move(data_directory_in)),
          control(control_in),
          start_lsn(start_lsn_in) {}

    const FileList& files;
    const std::string data_directory;
    const ControlFile control;
    const Lsn start_lsn;
    bool verify_pages = false;
    const IncrementalPlan* plan = nullptr;  ///< of an incremental backup
    double audit_fraction = 0;

    std::vector<uint32_t> large;  ///< indexes into files, 64 MB and more, in path order
    std::vector<uint32_t> rest;   ///< the others, in path order
    std::atomic<size_t> next_large = 0;
    std::atomic<size_t> next_rest = 0;

    std::atomic<bool> stop = false;  ///< set by whoever fails or is cancelled
    std::atomic<uint64_t> files_done = 0;
    std::atomic<uint64_t> bytes_done = 0;
};

/// One lane: takes files from the shared queue, large ones first, and writes them into packs of its
/// own, then helps the others with theirs. Runs on a thread of its own; what it gathered is read
/// when the thread has ended.
class CopyLane {
 public:
    CopyLane(CopyState& state, PackSet& packs);

    /// Error: whatever failed; cancelled when `stop` was set by somebody else.
    void run();

    std::vector<RecordRun*> runs() { return {&large_records_, &rest_records_}; }
    const PageVerifier::Findings& findings() const { return findings_; }
    uint64_t copied_files() const { return copied_files_; }
    /// Of an incremental backup.
    const IncrementalSummary& summary() const { return summary_; }
    const ChangeAudit::Findings& audit() const { return audit_.findings(); }

 private:
    struct Source;

    void copy(size_t index, RecordRun& records);
    FileChanges changes_of(size_t index, const Source& source);
    void copy_whole(Source& source, RecordRun& records);
    void copy_changes(Source& source, const FileChanges& changes, RecordRun& records);
    void count(const FileChanges& changes);
    void take(MutableByteView data, uint64_t bytes);

    CopyState& state_;
    FrameCrew::Member member_;
    PackWriter packs_;
    RecordRun large_records_;
    RecordRun rest_records_;
    PageVerifier::Findings findings_;
    ChangeAudit audit_;
    IncrementalSummary summary_;
    uint64_t copied_files_ = 0;
};

}  // namespace ark
