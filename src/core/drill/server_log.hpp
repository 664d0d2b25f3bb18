#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/repo/evidence.hpp"

namespace ark {

// What the scratch server's messages say; it speaks English (LC_ALL, lc_messages). All pure.

/// Why a server ended: its last FATAL or PANIC, with what followed it.
struct LastWords {
    std::string message;
    std::string detail;
    std::string hint;
};
/// From a log with log_line_prefix '%m [%p] ' (the server's own reports, not those of sessions that
/// came too early). nullopt where there is none.
std::optional<LastWords> last_words_of(std::string_view log);

/// The block that a message of the server or of amcheck names: "invalid page in block 7 of relation
/// base/5/16390", "Block=3 …", "Index tid=(3,5)", "could not read block 9 in file".
std::optional<uint64_t> block_in(std::string_view message);
/// The relation's file that it names: "base/5/16390".
std::optional<std::string> path_in(std::string_view message);

/// Why a server's end says nothing of the backup: disk_full, out_of_memory; nullopt where it may.
std::optional<ErrorCode> outside_cause_in(std::string_view log);

/// Findings from the output of pg_verifybackup, one for each of its errors; a summary line alone
/// gives none.
void add_verifybackup_findings(std::string_view output, Findings& findings);

}  // namespace ark
