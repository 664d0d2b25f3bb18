#pragma once
/// What the databases answer while a backup is taken, for a drill to ask again of the copy: their
/// catalogs, the rows of their tables, the values that users want recorded. Asked beside the
/// copying, by a worker for one database after the other (answers_worker.hpp). A backup is as good
/// without: whatever goes wrong leaves answers out, and the server's log says so.
#include "server/child.hpp"

namespace ark {

struct Answers;

/// Begins, where pg_ark.census wants it; else NULL. Throws only on cancel.
Answers* begin_answers();
/// Takes what has come; called now and then. NULL is nothing to do.
void take_answers(Answers* answers);
/// Waits for the rest, some seconds at most, and tells the child.
void finish_answers(Answers* answers, Child* child);
/// Ends the worker that is asking, if there is one. Throws nothing.
void abandon_answers(Answers* answers);

}  // namespace ark
