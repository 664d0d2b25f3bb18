#include "core/report/restore_model.hpp"

#include <algorithm>

namespace ark {

namespace {

// Some segments, of which switches leave much empty: what replayed less tells how long the start of
// a server takes, and nothing of speed.
constexpr double kTellingWal = 64.0 * 1024 * 1024;
constexpr size_t kModelPoints = 10;
constexpr size_t kTrendPoints = 12;
constexpr double kDayMicros = 86400e6;

// Those that succeeded, the newest `count`, newest first.
void keep_newest_good(std::vector<RestorePoint>& points, size_t count) {
    std::erase_if(points, [](const RestorePoint& p) { return !p.success; });
    std::ranges::sort(points, std::ranges::greater(), &RestorePoint::at);
    if (points.size() > count)
        points.resize(count);
}

}  // namespace

std::optional<double> predict_restore(std::vector<RestorePoint> points, double bytes,
                                      double wal_bytes) {
    keep_newest_good(points, kModelPoints);
    double all_bytes = 0;
    double all_fetch = 0;
    std::optional<double> start;
    const RestorePoint* most = nullptr;
    for (const RestorePoint& p : points) {
        if (p.bytes && p.fetch) {
            all_bytes += *p.bytes;
            all_fetch += *p.fetch;
        }
        if (!p.recover)
            continue;
        start = std::min(start.value_or(*p.recover), *p.recover);
        const bool telling = p.wal_bytes.value_or(0) >= kTellingWal && *p.recover > 0;
        if (telling && (most == nullptr || *p.wal_bytes > *most->wal_bytes))
            most = &p;
    }
    if (all_bytes <= 0 || all_fetch <= 0 || !start)
        return std::nullopt;
    const double fetch = bytes * all_fetch / all_bytes;
    if (most != nullptr)
        return fetch + std::max(*start, wal_bytes * *most->recover / *most->wal_bytes);
    if (wal_bytes >= kTellingWal)
        return std::nullopt;
    return fetch + *start;
}

std::optional<double> restore_trend(std::vector<RestorePoint> points) {
    std::erase_if(points, [](const RestorePoint& p) { return !p.rto; });
    keep_newest_good(points, kTrendPoints);
    if (points.size() < 3)
        return std::nullopt;
    const double origin = static_cast<double>(points.back().at);
    if (static_cast<double>(points.front().at) - origin < kDayMicros)
        return std::nullopt;
    double x = 0;
    double y = 0;
    double xx = 0;
    double xy = 0;
    for (const RestorePoint& p : points) {
        const double days = (static_cast<double>(p.at) - origin) / kDayMicros;
        x += days;
        y += *p.rto;
        xx += days * days;
        xy += days * *p.rto;
    }
    const auto n = static_cast<double>(points.size());
    const double spread = n * xx - x * x;
    if (spread <= 0)
        return std::nullopt;
    return 30 * (n * xy - x * y) / spread;
}

}  // namespace ark
