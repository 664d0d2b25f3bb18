#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/store/object_store.hpp"

namespace ark {

enum class CheckLevel {
    good,
    note,     ///< a set-up that has its reasons, and its consequences
    warning,  ///< works, and will not for ever
    error,    ///< pg_ark cannot work there
};
/// "good", "note", "warning", "error".
const char* name_of(CheckLevel level) noexcept;

struct StoreFinding {
    /// right_put, right_get, right_list, right_delete, right_multipart, create_if_absent, clock,
    /// round_trip, throughput
    std::string name;
    CheckLevel level = CheckLevel::good;
    std::string detail;
    std::string hint = {};  ///< what to do; empty where all is well
};

/// What was measured, as far as it could be.
struct StoreCheck {
    CheckLevel worst = CheckLevel::good;
    bool is_writable = false;
    bool creates_if_absent = false;
    std::string trouble;                ///< the first error in words, empty where there was none
    std::optional<int64_t> clock_skew;  ///< seconds by which the store is ahead
    std::optional<double> round_trip;   ///< seconds
    std::optional<double> write_rate;   ///< bytes a second, of one stream
    std::optional<double> read_rate;
};

using FindingSink = std::function<void(const StoreFinding&)>;

/// Finds out what the store lets us do and how well it does it, by objects below `directory`, which
/// nobody else uses, and removes them again (at most 25 MiB, less where the store is slow). Tells
/// each finding as soon as it is known. What the store answers is the result, and no error. Error:
/// cancelled, and what `tell` throws.
StoreCheck check_store(ObjectStore& store, const std::string& directory, const FindingSink& tell);

}  // namespace ark
