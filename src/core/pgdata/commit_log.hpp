#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"

namespace ark {

/// What became of a transaction (src/include/access/clog.h).
enum class XactStatus : uint8_t {
    in_progress = 0,
    committed = 1,
    aborted = 2,
    sub_committed = 3,  ///< a subtransaction, until its parent has ended
};

/// The commit log of a data directory whose server is stopped. Thread-safe.
class CommitLog {
 public:
    /// `oldest` and `next`: of the control file; it is asked for transactions from the one up to
    /// the other. Files that are not there are left out. Error: as system_error.
    CommitLog(const std::string& data_directory, uint32_t oldest, uint32_t next);
    ~CommitLog();

    /// nullopt for one that is none (an id below the first normal one), that the log does not go
    /// back to, or that was not begun.
    std::optional<XactStatus> status(uint32_t xid) const;

 private:
    class Mapping;

    const uint32_t oldest_;
    const uint32_t next_;
    std::map<uint32_t, std::unique_ptr<Mapping>> segments_;
};

}  // namespace ark
