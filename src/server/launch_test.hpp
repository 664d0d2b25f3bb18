#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Throws unless tests can run here (not a standby; a restored copy may test) and the backup is
/// complete. NULL: an error too.
void require_testable(const char* backup_id);

/// The same for a drill whose backup is found later.
void require_drills();

/// A request for a test of that backup ("": of none), with an id of its own.
JobRequest* new_test_request(const char* backup_id);

/// How a call waits for its test.
enum class TestWait {
    kForRow,      ///< until the row can be seen
    kForEnd,      ///< until the test has ended
    kForEndOpen,  ///< the same, committing meanwhile and telling the progress; inside a non-atomic
                  ///< SPI connection
};

/// Asks for a test and waits. A call that waits for the end and is cancelled, terminated or left by
/// its client cancels the test, and an error comes only when the test has ended (20 s at most);
/// kForRow does so until the row is there. Throws what the test ended with where nothing is known.
Verdict launch_test(JobKind kind, const JobRequest& request, TestWait wait);

}  // namespace ark
