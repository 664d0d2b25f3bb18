#pragma once
/// The rows of restore tests in ark.backup_tests and of verifications in ark.backup_verification.
/// Every function runs inside begin_sql/commit_sql.
#include "server/shared.hpp"

namespace ark {

/// Why nothing is known about the backup. Strings may be NULL but the message.
struct TestFailure {
    int sqlstate;
    const char* message;
    const char* detail;
    const char* hint;
    const char* phase;
};

void insert_test_row(JobKind kind, const JobRequest& request, TimestampTz started_at);
/// The row gets its end from the evidence (JSON).
void complete_test_row(JobKind kind, const JobRequest& request, const char* evidence);
/// The row ends without a result; one that has its end already stays as it is. Whether it had none.
bool fail_test_row(JobKind kind, const char* test_id, const TestFailure& failure);

/// A query for the ids of rows that have no end.
extern const char kOpenTests[];
extern const char kOpenVerifications[];

/// Makes the row of a test that another host (or pg_ark drill here) has done, from its evidence in
/// the repository; false where there is one, or it is a verification.
bool adopt_evidence(const char* evidence);

}  // namespace ark
