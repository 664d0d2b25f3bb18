#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/file.hpp"

namespace ark {

/// The file in a data directory that says: a restore writes here and has not ended. It also keeps
/// two restores apart. Together with a missing global/pg_control it stands for "not startable".
constexpr const char* kUnfinishedName = "pg_ark.restore_in_progress";

struct UnfinishedNote {
    std::string backup_id;
    std::vector<std::string> tablespaces;  ///< locations that this restore fills
};

/// The note of an earlier restore; nullopt where there is none. One that cannot be read has no
/// tablespaces: its locations count as foreign then.
std::optional<UnfinishedNote> read_unfinished(const std::string& data_directory);

/// Writes the note and holds a lock on it as long as it lives.
class UnfinishedMark {
 public:
    /// Durable when it returns. Error: refused when another restore holds it.
    UnfinishedMark(const std::string& data_directory, const UnfinishedNote& note);
    /// Removes it, durably.
    void finish();

 private:
    std::string directory_;
    File file_;
};

}  // namespace ark
