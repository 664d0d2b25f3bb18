#pragma once

#include <cstdint>
#include <string>

#include "cli/command.hpp"
#include "cli/progress_bar.hpp"
#include "core/restore/job.hpp"

namespace ark {

/// What a restore tells: text for people (the plan and the result on standard output, progress on
/// standard error), or one JSON object a line on standard output, each with an "event".
class RestoreReport {
 public:
    RestoreReport(OutputFormat output, const RestoreRequest& request, const RestorePlan& plan);

    void plan(bool dry_run);
    /// May drop some.
    void progress(const RestoreProgress& progress);
    void result(const RestoreResult& result, const StoreTraffic& traffic);

 private:
    void print_plan_text(bool dry_run) const;
    void print_plan_json(bool dry_run) const;
    void print_progress_text(const RestoreProgress& progress);
    void print_standby() const;
    void print_result_text(const RestoreResult& result, const StoreTraffic& traffic) const;
    void print_result_json(const RestoreResult& result, const StoreTraffic& traffic) const;

    const OutputFormat output_;
    const RestoreRequest& request_;
    const RestorePlan& plan_;
    ProgressBar bar_;
    int64_t writing_since_ = 0;
    RestorePhase last_phase_ = RestorePhase::clearing;
};

}  // namespace ark
