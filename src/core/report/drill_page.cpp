#include "core/report/drill_page.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/base/bytes.hpp"
#include "core/report/chart.hpp"
#include "core/report/text.hpp"

namespace ark {

namespace {

constexpr size_t kColours = 9;
// A cell of a sample may hold a whole document.
constexpr size_t kMostInCell = 300;

std::string bytes_text(double bytes) {
    constexpr double kMost = 9e18;
    return human_bytes(static_cast<uint64_t>(std::clamp(bytes, 0.0, kMost)));
}

std::string percent(double share) {
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.2f%%", 100 * std::clamp(share, 0.0, 1.0));
    return buffer.data();
}

std::string badge(const char* kind, const std::string& text) {
    return "<span class=\"badge " + std::string(kind) + "\">" + html(text) + "</span>";
}

std::string badge(Outcome outcome) {
    switch (outcome) {
        case Outcome::met:
            return badge("good", "met");
        case Outcome::missed:
            return badge("bad", "missed");
        case Outcome::unknown:
            return badge("warn", "unknown");
        case Outcome::none:
            break;
    }
    return badge("", "no objective");
}

std::string seconds_or_dash(const std::optional<double>& seconds, const char* otherwise = "–") {
    return seconds ? duration_text(*seconds) : otherwise;
}

std::string clipped(std::string text) {
    if (text.size() <= kMostInCell)
        return text;
    size_t end = kMostInCell;
    while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80)
        --end;
    return text.substr(0, end) + " …";
}

class Page {
 public:
    explicit Page(const DrillFacts& facts) : f_(facts) {}

    std::string make() {
        out_ =
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'\">"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
            "<meta name=\"referrer\" content=\"no-referrer\"><title>Restore drill of ";
        out_ += html(f_.backup_id) + ": " + verdict_word() + "</title><style>" + kDrillStyle +
                "</style></head>\n<body><main>";
        verdict();
        tiles();
        next();
        objectives();
        what();
        steps();
        charts();
        findings();
        checks();
        notes();
        end();
        return std::move(out_);
    }

 private:
    void open(const std::string& title, const char* kind = "") {
        out_ += "<section class=\"" + std::string(kind) + "\"><h2>" + html(title) + "</h2>\n";
    }
    void close() { out_ += "</section>\n"; }

    const char* verdict_word() const {
        if (!f_.success)
            return "failed";
        return f_.left_out.empty() ? "passed" : "passed, of some checks alone";
    }

    // Before all else: few checks that found nothing look like all of them.
    void scope() {
        if (f_.left_out.empty())
            return;
        out_ += "<p><strong>Only these checks were made: " + html(joined(f_.chosen)) +
                ". Nothing is said of the others: " + html(joined(f_.left_out)) + ".</strong>";
        if (f_.not_cleared)
            out_ += " The drill of " + html(time_text(*f_.not_cleared)) +
                    " failed, and this one does not clear it.";
        out_ += "</p>";
    }

    void verdict() {
        out_ += "<header><div class=\"brand\">pg_ark · restore drill</div><div class=\"verdict";
        out_ += f_.success ? "\"><div class=\"mark\">✓</div><div><h1>A server came up from this "
                             "backup and answered"
                           : " bad\"><div class=\"mark\">✗</div><div><h1>This backup did not pass "
                             "its drill";
        out_ += "</h1><p>Backup <code>" + html(f_.backup_id) + "</code>, drilled on " +
                html(time_text(f_.started_at)) + " on <code>" + html(f_.host) + "</code>. ";
        if (f_.success)
            out_ += "Nothing wrong was found in what was checked.";
        else
            out_ += html(count_text(f_.finding_count)) +
                    (f_.finding_count == 1 ? " finding." : " findings.") +
                    (f_.rto ? "" : " No server could be used at the end of recovery.");
        out_ += "</p>";
        scope();
        out_ += "</div></div></header>\n";
    }

    void tile(const char* kind, const char* name, const std::string& value,
              const std::string& more) {
        out_ += "<div class=\"tile " + std::string(kind) + "\"><div class=\"name\">" + html(name) +
                "</div><b>" + html(value) + "</b><div class=\"more\">" + html(more) +
                "</div></div>";
    }

    void tiles() {
        out_ += "<div class=\"tiles\">";
        tile("", "Until a server answered", f_.rto ? duration_text(*f_.rto) : "never",
             "the whole drill took " + duration_text(f_.total));
        int met = 0;
        int all = 0;
        bool missed = false;
        for (const ReportObjective& o : f_.objectives) {
            for (const Outcome outcome : {outcome_of(o.rpo, o.rpo_measured), rto_outcome(o, f_)}) {
                all += outcome == Outcome::none ? 0 : 1;
                met += outcome == Outcome::met ? 1 : 0;
                missed |= outcome == Outcome::missed;
            }
        }
        tile(all == 0     ? ""
             : missed     ? "bad"
             : met == all ? "good"
                          : "warn",
             "Objectives met", all == 0 ? "–" : std::to_string(met) + " of " + std::to_string(all),
             all == 0     ? "none were given"
             : missed     ? "see below"
             : met == all ? "all"
                          : "rest unknown");
        const auto failed = std::ranges::count_if(f_.checks, [](const ReportCheck& c) {
            return c.status == "failed" || c.status == "error";
        });
        tile(failed > 0 ? "bad" : "", "Checks passed",
             f_.checks.empty()
                 ? "–"
                 : std::to_string(std::ranges::count(f_.checks, "passed", &ReportCheck::status)) +
                       " of " + std::to_string(f_.checks.size()),
             f_.checks.empty() ? own_checks_left_out() ? "left out" : "none were set up"
             : failed == 0     ? "all of them"
                               : std::to_string(failed) + " need attention");
        tile(f_.finding_count > 0  ? "bad"
             : f_.left_out.empty() ? "good"
                                   : "warn",
             "Findings", count_text(f_.finding_count),
             !f_.left_out.empty() ? std::to_string(f_.left_out.size()) + " kinds of checks left out"
             : f_.notes.empty()
                 ? "nothing left unchecked"
                 : std::to_string(f_.notes.size()) + (f_.notes.size() == 1 ? " note" : " notes") +
                       " on what was not checked");
        out_ += "</div>\n";
    }

    void next() {
        open("What to do next", "next");
        out_ += "<ul>";
        for (const std::string& what : f_.next)
            out_ += "<li>" + html(what) + "</li>";
        out_ += "</ul>";
        close();
    }

    // On a narrow screen the cells stand below one another, each with its name.
    void goal(const char* name, const std::string& value) {
        out_ += "<td class=\"time\" data-name=\"" + html(name) + "\">" + html(value) + "</td>";
    }

    void objectives() {
        open("Recovery objectives");
        if (f_.objectives.empty()) {
            out_ +=
                "<p class=\"soft\">None were recorded with this drill, and none were given.</p>";
            return close();
        }
        out_ +=
            "<div class=\"scroll\"><table class=\"goals\"><tr><th>Tier</th><th>May be lost "
            "(RPO)</th><th>Would have been lost</th><th></th><th>May take (RTO)</th><th>Took"
            "</th><th></th></tr>";
        for (const ReportObjective& o : f_.objectives) {
            out_ +=
                "<tr><td><strong>" + html(o.tier) + "</strong>" +
                (o.description.empty() ? std::string()
                                       : "<div class=\"soft\">" + html(o.description) + "</div>") +
                "</td>";
            goal("May be lost", seconds_or_dash(o.rpo));
            goal("Would have been lost", seconds_or_dash(o.rpo_measured, "not known"));
            out_ += "<td>" + badge(outcome_of(o.rpo, o.rpo_measured)) + "</td>";
            goal("May take", seconds_or_dash(o.rto));
            goal("Took", seconds_or_dash(f_.rto, "never up"));
            out_ += "<td>" + badge(rto_outcome(o, f_)) + "</td></tr>";
        }
        out_ +=
            "</table></div><p class=\"soft\">RPO: the age of the oldest change that was not yet "
            "in the repository when the drill began. RTO: from the first byte fetched until the "
            "recovered server answered, on the host of the drill.";
        if (f_.predicted)
            out_ += " The newest backup is predicted to take <strong>" +
                    html(duration_text(*f_.predicted)) + "</strong>.";
        if (f_.not_cleared)
            out_ +=
                " A drill that failed misses every objective until one with all checks has passed.";
        out_ += "</p>";
        close();
    }

    void fact(const char* name, const std::string& value, bool mono = false) {
        if (value.empty())
            return;
        out_ += "<dt>" + html(name) + "</dt><dd" + (mono ? " class=\"mono\">" : ">") + html(value) +
                "</dd>";
    }

    void what() {
        open("What was tested, and how");
        out_ += "<dl>";
        fact("Test", f_.test_id, true);
        fact("Backup", f_.backup_id, true);
        if (f_.backup) {
            const BackupMarker& b = *f_.backup;
            fact("", b.type + ", taken " + time_text(b.completed_at) + ", " +
                         bytes_text(static_cast<double>(b.database_bytes)) + " of data in " +
                         count_text(static_cast<double>(b.files)) + " files" +
                         (b.is_encrypted ? ", encrypted" : ""));
            fact("Reason", b.reason);
            fact("PostgreSQL", b.pg_version);
        }
        fact("Recovered to", f_.target +
                                 (f_.reached_at.empty() ? "" : ", reached " + f_.reached_at) +
                                 (f_.reached_lsn.empty() ? "" : ", LSN " + f_.reached_lsn) +
                                 (f_.timeline.empty() ? "" : ", timeline " + f_.timeline));
        fact("Host", f_.host, true);
        fact("pg_ark", f_.program_version);
        fact("Repository", f_.repository, true);
        fact("Cluster", f_.cluster, true);
        fact("Began", time_text(f_.started_at));
        fact("Ended", time_text(f_.completed_at));
        std::string amounts;
        for (const auto& [label, value] : f_.amounts)
            amounts += (amounts.empty() ? "" : " · ") + value + " " + label;
        fact("Looked at", amounts);
        if (!f_.left_out.empty()) {
            fact("Checks made", joined(f_.chosen));
            fact("Left out", joined(f_.left_out));
        }
        out_ += "</dl>";
        close();
    }

    void steps() {
        open("Steps and times");
        double sum = 0;
        for (const ReportStep& step : f_.steps)
            sum += step.seconds;
        const double all = std::max(f_.total, 1e-9);
        out_ += "<div class=\"stack\" aria-hidden=\"true\">";
        for (size_t i = 0; i < f_.steps.size(); ++i)
            out_ += "<i class=\"c" + std::to_string(i % kColours) +
                    "\" style=\"width:" + percent(f_.steps[i].seconds / all) + "\"></i>";
        out_ +=
            "</div><table><tr><th>Step</th><th class=\"wide\">What it does</th><th "
            "class=\"num\">Time</th><th></th></tr>";
        double longest = 1e-9;
        for (const ReportStep& step : f_.steps)
            longest = std::max(longest, step.seconds);
        for (size_t i = 0; i < f_.steps.size(); ++i) {
            const ReportStep& step = f_.steps[i];
            const std::string colour = "c" + std::to_string(i % kColours);
            out_ += "<tr><td><span class=\"dot " + colour + "\"></span>" + html(step.label) +
                    "</td><td class=\"wide soft\">" + html(step.what) + "</td><td class=\"num\">" +
                    html(duration_text(step.seconds)) + "</td><td><div class=\"bar\"><i class=\"" +
                    colour + "\" style=\"width:" + percent(step.seconds / longest) +
                    "\"></i></div></td></tr>";
        }
        if (all - sum > all / 100)
            out_ +=
                "<tr><td>Everything else</td><td class=\"wide soft\">Between the steps, and "
                "cleaning up</td><td class=\"num\">" +
                html(duration_text(all - sum)) + "</td><td></td></tr>";
        out_ +=
            "<tr><td><strong>All of it</strong></td><td class=\"wide\"></td><td "
            "class=\"num\"><strong>" +
            html(duration_text(f_.total)) + "</strong></td><td></td></tr></table>";
        close();
    }

    Chart time_chart() const {
        Chart chart;
        chart.title = "Time until a server answered";
        chart.text = duration_text;
        double most = 0;
        for (const RestorePoint& p : f_.history) {
            const bool current = p.test_id == f_.test_id;
            if (!p.rto)
                continue;
            most = std::max(most, *p.rto);
            chart.points.push_back({p.at, *p.rto, !p.success, current,
                                    time_text(p.at) + ": " + duration_text(*p.rto) +
                                        (p.success ? "" : ", failed") +
                                        (p.bytes ? ", " + bytes_text(*p.bytes) : "")});
        }
        chart.unit = most >= 3 * 3600 ? 3600 : most >= 180 ? 60 : 1;
        for (const ReportObjective& o : f_.objectives) {
            if (o.rto)
                chart.lines.push_back({*o.rto, o.tier + " " + duration_text(*o.rto)});
        }
        return chart;
    }

    Chart size_chart() const {
        Chart chart;
        chart.title = "Size of the database";
        chart.text = bytes_text;
        double most = 0;
        for (const SizePoint& p : f_.sizes) {
            most = std::max(most, p.bytes);
            chart.points.push_back(
                {p.at, p.bytes, false, false, time_text(p.at) + ": " + bytes_text(p.bytes)});
        }
        for (double unit = 1; unit <= most; unit *= 1000)
            chart.unit = unit;
        return chart;
    }

    void charts() {
        out_ += "<div class=\"pair\">";
        open("Restore time over the months");
        const Chart times = time_chart();
        out_ += svg(times);
        if (times.points.empty())
            out_ += "<p class=\"soft\">No drill has brought a server up yet.</p>";
        if (f_.trend) {
            const bool grows = *f_.trend >= 0;
            out_ += "<p class=\"soft\">It " + std::string(grows ? "grows" : "falls") + " by " +
                    html(duration_text(std::abs(*f_.trend))) + " in 30 days.</p>";
        } else if (!times.points.empty()) {
            out_ += "<p class=\"soft\">A trend shows from the third drill on.</p>";
        }
        close();
        open("Size over the months");
        out_ += svg(size_chart());
        if (f_.sizes.size() > 1)
            out_ += "<p class=\"soft\">From " + html(bytes_text(f_.sizes.front().bytes)) + " to " +
                    html(bytes_text(f_.sizes.back().bytes)) + ", by backups and drills.</p>";
        if (f_.sizes.empty())
            out_ += "<p class=\"soft\">Nothing is known of it.</p>";
        close();
        out_ += "</div>";
    }

    void findings() {
        if (f_.findings.empty())
            return;
        open("Findings", "long");
        for (const ReportFinding& finding : f_.findings) {
            out_ += "<div class=\"finding\"><p>" + badge("bad", finding.check) + " <strong>" +
                    html(finding.message) + "</strong></p>";
            if (!finding.place.empty())
                out_ += "<p class=\"mono\">" + html(finding.place) + "</p>";
            if (!finding.detail.empty())
                out_ += "<p>" + html(finding.detail) + "</p>";
            if (!finding.hint.empty())
                out_ += "<p class=\"hint\">" + html(finding.hint) + "</p>";
            out_ += "</div>";
        }
        const double more = f_.finding_count - static_cast<double>(f_.findings.size());
        if (more > 0)
            out_ +=
                "<p>And " + html(count_text(more)) + " more, which were counted and not kept.</p>";
        close();
    }

    static std::string status_badge(const ReportCheck& check) {
        if (check.status == "passed")
            return badge("good", "passed");
        if (check.status == "failed")
            return badge(check.severity == "info" || check.severity == "warning" ? "warn" : "bad",
                         "failed");
        return badge(check.status == "error" ? "bad" : "", check.status);
    }

    static std::string violations_text(const ReportCheck& check) {
        if (!check.violations)
            return "–";
        return (check.is_lower_bound ? "≥ " : "") + count_text(*check.violations);
    }

    void samples(const ReportCheck& check) {
        if (check.samples.empty())
            return;
        out_ += "<div class=\"samples scroll\"><table><tr>";
        for (const std::string& column : check.columns)
            out_ += "<th>" + html(clipped(column)) + "</th>";
        out_ += "</tr>";
        for (const auto& row : check.samples) {
            out_ += "<tr>";
            for (const std::string& cell : row)
                out_ += "<td>" + html(clipped(cell)) + "</td>";
            out_ += "</tr>";
        }
        out_ += "</table></div>";
    }

    bool own_checks_left_out() const {
        return std::ranges::any_of(f_.left_out, [](const std::string& name) {
            return name == "checks" || name == "critical_functions";
        });
    }

    void checks() {
        open("Checks and their results", "long");
        if (f_.checks.empty() && own_checks_left_out()) {
            out_ +=
                "<p class=\"soft\">Integrity checks, critical functions or both were left out of "
                "this drill: what your business knows of its data was not looked at.</p>";
            return close();
        }
        if (f_.checks.empty()) {
            out_ +=
                "<p class=\"soft\">No integrity checks or critical functions were set up: the "
                "drill looked at what PostgreSQL knows of its data, and not at what your "
                "business knows of it.</p>";
            return close();
        }
        for (const ReportCheck& check : f_.checks) {
            if (check.status == "passed")
                continue;
            out_ += "<div class=\"check\"><p>" + status_badge(check) + " <strong>" +
                    html(check.name) + "</strong> <span class=\"soft\">" + html(check.severity) +
                    (check.category.empty() ? "" : " · " + html(check.category)) +
                    (check.database.empty() ? "" : " · " + html(check.database)) +
                    (check.violations ? " · " + html(violations_text(check)) + " violations" : "") +
                    "</span></p>";
            if (!check.error.empty())
                out_ += "<p>" + html(clipped(check.error)) + "</p>";
            samples(check);
            out_ += "</div>";
        }
        if (!f_.with_samples && !all_passed())
            out_ +=
                "<p class=\"soft\">The rows that failed, and what was said about them, are left "
                "out of this report: they show data. <code>pg_ark report drill --samples</code> "
                "has them.</p>";
        passed_checks();
        close();
    }

    bool all_passed() const {
        return std::ranges::all_of(f_.checks,
                                   [](const ReportCheck& c) { return c.status == "passed"; });
    }

    void passed_checks() {
        if (std::ranges::none_of(f_.checks,
                                 [](const ReportCheck& c) { return c.status == "passed"; }))
            return;
        out_ +=
            "<h3>Passed</h3><table><tr><th>Check</th><th class=\"wide\">Kind</th><th "
            "class=\"num\">Violations</th><th class=\"num\">Time</th></tr>";
        for (const ReportCheck& check : f_.checks) {
            if (check.status != "passed")
                continue;
            out_ += "<tr><td>" + html(check.name) + "</td><td class=\"wide soft\">" +
                    html(check.category.empty() ? check.kind : check.category) +
                    (check.database.empty() ? "" : " · " + html(check.database)) +
                    "</td><td class=\"num\">" + html(violations_text(check)) +
                    "</td><td class=\"num\">" + html(seconds_or_dash(check.seconds)) + "</td></tr>";
        }
        out_ += "</table>";
    }

    void notes() {
        open("What could not be checked");
        if (f_.notes.empty())
            out_ += "<p class=\"soft\">Nothing was noted.</p>";
        else
            out_ += "<ul>";
        for (const std::string& note : f_.notes)
            out_ += "<li>" + html(note) + "</li>";
        out_ += f_.notes.empty() ? "" : "</ul>";
        close();
    }

    void end() {
        out_ += "<footer>Made by pg_ark on " + html(time_text(f_.made_at)) +
                " from the evidence that is stored beside the backup in the repository. Times of "
                "day are UTC.</footer></main></body></html>\n";
    }

    const DrillFacts& f_;
    std::string out_;
};

}  // namespace

std::string to_html(const DrillFacts& facts) {
    return Page(facts).make();
}

}  // namespace ark
