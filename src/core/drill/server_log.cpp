#include "core/drill/server_log.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace ark {

namespace {

template <typename Visit>
void each_line(std::string_view text, Visit visit) {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        visit(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

// What follows `label` in the line, unless the label is not there.
std::optional<std::string_view> after(std::string_view line, std::string_view label) {
    const size_t at = line.find(label);
    if (at == std::string_view::npos)
        return std::nullopt;
    return line.substr(at + label.size());
}

std::optional<uint64_t> number_at(std::string_view text) {
    uint64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc{} ? std::optional(value) : std::nullopt;
}

bool is_answer_to_early_session(std::string_view message) {
    return message.starts_with("the database system is ");
}

}  // namespace

std::optional<LastWords> last_words_of(std::string_view log) {
    std::optional<LastWords> out;
    std::string* open = nullptr;  // takes the lines that go on with a tab
    each_line(log, [&](std::string_view line) {
        if (line.starts_with('\t')) {
            if (open != nullptr)
                *open += " " + std::string(line.substr(1));
            return;
        }
        open = nullptr;
        auto message = after(line, "] FATAL:  ");
        if (!message)
            message = after(line, "] PANIC:  ");
        if (message && !is_answer_to_early_session(*message)) {
            out = LastWords{std::string(*message), {}, {}};
            open = &out->message;
        } else if (const auto detail = after(line, "] DETAIL:  "); detail && out) {
            out->detail = *detail;
            open = &out->detail;
        } else if (const auto hint = after(line, "] HINT:  "); hint && out) {
            out->hint = *hint;
            open = &out->hint;
        }
    });
    return out;
}

std::optional<uint64_t> block_in(std::string_view message) {
    for (const std::string_view label :
         {"in block ", "read block ", "block=", "Block=", "block ", "tid=("}) {
        for (auto rest = after(message, label); rest; rest = after(*rest, label)) {
            if (const auto number = number_at(*rest))
                return number;
        }
    }
    return std::nullopt;
}

std::optional<std::string> path_in(std::string_view message) {
    for (const std::string_view start : {"base/", "global/", "pg_tblspc/"}) {
        const size_t at = message.find(start);
        if (at == std::string_view::npos)
            continue;
        const std::string_view rest = message.substr(at);
        return std::string(rest.substr(0, std::min(rest.find_first_of("\"',;: )\n"), rest.size())));
    }
    return std::nullopt;
}

std::optional<ErrorCode> outside_cause_in(std::string_view log) {
    constexpr std::array<std::pair<std::string_view, ErrorCode>, 5> kCauses{
        {{"No space left on device", ErrorCode::disk_full},
         {"Disk quota exceeded", ErrorCode::disk_full},
         {"Cannot allocate memory", ErrorCode::out_of_memory},
         {"could not fork ", ErrorCode::out_of_memory},
         {"could not map anonymous shared memory", ErrorCode::out_of_memory}}};
    for (const auto& [text, code] : kCauses) {
        if (log.find(text) != std::string_view::npos)
            return code;
    }
    return std::nullopt;
}

void add_verifybackup_findings(std::string_view output, Findings& findings) {
    each_line(output, [&](std::string_view line) {
        auto message = after(line, "pg_verifybackup: error: ");
        if (!message)
            message = after(line, "pg_verifybackup: fatal: ");
        if (!message)
            return;
        Finding finding;
        finding.check = "files";
        finding.message = *message;
        const size_t open = message->find('"');
        const size_t close = message->find('"', open + 1);
        if (close != std::string_view::npos)
            finding.path = message->substr(open + 1, close - open - 1);
        findings.add(std::move(finding));
    });
}

}  // namespace ark
