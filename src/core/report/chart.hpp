#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"

namespace ark {

struct ChartPoint {
    UnixMicros at = 0;
    double value = 0;
    bool bad = false;      ///< drawn as a cross
    bool current = false;  ///< the one that the report is of
    std::string label;     ///< shown when it is pointed at
};

struct ChartLine {
    double value = 0;
    std::string label;
};

struct Chart {
    std::string title;
    std::vector<ChartPoint> points;  ///< in the order of time
    std::vector<ChartLine> lines;    ///< objectives; those far above all points are left out
    std::function<std::string(double)> text;  ///< of a value
    double unit = 1;  ///< the axis counts in steps of 1, 2 or 5 times ten to a power of these
};

/// One SVG element that takes its colours from the page's style. "" without points.
std::string svg(const Chart& chart);

}  // namespace ark
