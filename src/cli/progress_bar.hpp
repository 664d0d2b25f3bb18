#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace ark {

/// Progress for people on standard error: a bar that is drawn over itself on a terminal, else a
/// line every few seconds.
class ProgressBar {
 public:
    ProgressBar();

    /// Whether it is time to tell something: a few times a second for a bar, else every few
    /// seconds, and whenever something `changed`. `as_text` is false where the caller writes
    /// another form.
    bool due(bool changed, bool as_text);
    /// `share` from 0 to 1.
    void show(double share, const std::string& text) const;
    /// Takes the bar away.
    void clear() const;

 private:
    const bool terminal_;
    int64_t next_ = 0;
};

/// Bytes a second; 0 for no time.
uint64_t per_second(uint64_t bytes, int64_t nanos);
/// done / total; 1 for a total of 0.
double share_of(uint64_t done, uint64_t total);
/// {"event": "progress", "phase": …, "bytes": …, "bytes_total": …, "bytes_per_second": …,
/// "seconds_left": …}; the last is null while nobody knows.
nlohmann::json progress_event(const char* phase, uint64_t done, uint64_t total, int64_t nanos);
/// "42 %, 1.2 GB of 3.0 GB, 80 MB/s, 0:22 left" after so much time.
std::string describe_progress(uint64_t done, uint64_t total, int64_t nanos);

}  // namespace ark
