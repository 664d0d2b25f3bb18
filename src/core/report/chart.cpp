#include "core/report/chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/report/text.hpp"

namespace ark {

namespace {

constexpr double kWidth = 480;
constexpr double kHeight = 230;
constexpr double kLeft = 76;
constexpr double kRight = 18;
constexpr double kTop = 16;
constexpr double kBottom = 36;
constexpr size_t kMostPoints = 400;

std::string number(double value) {
    std::array<char, 48> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.1f", value);
    return buffer.data();
}

// A step of 1, 2 or 5 times a power of ten, in units, that makes about four of the range.
double step_for(double range, double unit) {
    constexpr double kSteps = 4;
    const double raw = std::max(range / unit / kSteps, 1e-9);
    const double power = std::pow(10, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (raw <= factor * power)
            return factor * power * unit;
    }
    return 10 * power * unit;
}

class Plot {
 public:
    explicit Plot(const Chart& chart) : chart_(chart), points_(chart.points) {
        if (points_.size() > kMostPoints)
            points_.erase(points_.begin(),
                          points_.end() - static_cast<std::ptrdiff_t>(kMostPoints));
        double most = 0;
        for (const ChartPoint& point : points_)
            most = std::max(most, point.value);
        for (const ChartLine& line : chart.lines) {
            if (line.value <= most * 4)
                lines_.push_back(line);
        }
        for (const ChartLine& line : lines_)
            most = std::max(most, line.value);
        step_ = step_for(most * 1.05, chart.unit);
        top_ = std::max(step_ * std::ceil(most * 1.05 / step_), step_);
    }

    std::string draw() {
        out_ = "<svg class=\"chart\" viewBox=\"0 0 480 230\" role=\"img\" aria-label=\"" +
               html(chart_.title) + "\">";
        grid();
        dates();
        objectives();
        values();
        objective_labels();
        return out_ + "</svg>";
    }

 private:
    double x(UnixMicros at) const {
        const auto first = static_cast<double>(points_.front().at);
        const auto last = static_cast<double>(points_.back().at);
        const double room = kWidth - kLeft - kRight - 16;
        if (last <= first)
            return kLeft + 8 + room / 2;
        return kLeft + 8 + room * (static_cast<double>(at) - first) / (last - first);
    }
    double y(double value) const {
        return kHeight - kBottom - (kHeight - kTop - kBottom) * value / top_;
    }

    void text(double tx, double ty, const char* anchor, const char* kind,
              const std::string& words) {
        out_ += "<text class=\"" + std::string(kind) + "\" x=\"" + number(tx) + "\" y=\"" +
                number(ty) + "\" text-anchor=\"" + anchor + "\">" + html(words) + "</text>";
    }

    void grid() {
        for (double value = 0; value <= top_ + step_ / 2; value += step_) {
            out_ += "<line class=\"grid\" x1=\"" + number(kLeft) + "\" x2=\"" +
                    number(kWidth - kRight) + "\" y1=\"" + number(y(value)) + "\" y2=\"" +
                    number(y(value)) + "\"/>";
            text(kLeft - 8, y(value) + 4, "end", "tick", value == 0 ? "0" : chart_.text(value));
        }
    }

    void dates() {
        const UnixMicros first = points_.front().at;
        const UnixMicros last = points_.back().at;
        const double base = kHeight - 12;
        if (day_text(first) == day_text(last)) {
            text((kLeft + kWidth - kRight) / 2, base, "middle", "tick", day_text(first));
            return;
        }
        text(x(first) - 8, base, "start", "tick", day_text(first));
        text(x(last) + 8, base, "end", "tick", day_text(last));
        constexpr UnixMicros kDay = 86400LL * 1000000;
        if (last - first > 4 * kDay)
            text((x(first) + x(last)) / 2, base, "middle", "tick", day_text((first + last) / 2));
    }

    void objectives() {
        for (const ChartLine& line : lines_) {
            out_ += "<line class=\"goal\" x1=\"" + number(kLeft) + "\" x2=\"" +
                    number(kWidth - kRight) + "\" y1=\"" + number(y(line.value)) + "\" y2=\"" +
                    number(y(line.value)) + "\"/>";
        }
    }

    // Above everything else, which runs under them.
    void objective_labels() {
        for (const ChartLine& line : lines_)
            text(kLeft + 6, y(line.value) - 6, "start", "goal-text", line.label);
    }

    void values() {
        std::string path;
        for (const ChartPoint& point : points_) {
            if (!point.bad)
                path +=
                    (path.empty() ? "M" : "L") + number(x(point.at)) + " " + number(y(point.value));
        }
        if (path.find('L') != std::string::npos)
            out_ += "<path class=\"series\" d=\"" + path + "\"/>";
        for (const ChartPoint& point : points_) {
            const double px = x(point.at);
            const double py = y(point.value);
            out_ += "<g class=\"" + std::string(point.bad ? "bad" : "good") +
                    (point.current ? " now" : "") + "\"><title>" + html(point.label) + "</title>";
            if (point.bad)
                out_ += "<path d=\"M" + number(px - 5) + " " + number(py - 5) +
                        "l10 10m0 -10l-10 10\"/>";
            else
                out_ += "<circle cx=\"" + number(px) + "\" cy=\"" + number(py) + "\" r=\"" +
                        (point.current         ? "6"
                         : points_.size() > 60 ? "2.5"
                                               : "4") +
                        "\"/>";
            out_ += "</g>";
        }
    }

    const Chart& chart_;
    std::vector<ChartPoint> points_;
    std::vector<ChartLine> lines_;
    double step_ = 1;
    double top_ = 1;
    std::string out_;
};

}  // namespace

std::string svg(const Chart& chart) {
    return chart.points.empty() ? std::string() : Plot(chart).draw();
}

}  // namespace ark
