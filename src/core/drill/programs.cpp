#include "core/drill/programs.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <set>
#include <sstream>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr size_t kOutputLimit = 64 << 20;
constexpr int kPauseMillis = 20;

bool is_program(const std::string& path) {
    return ::access(path.c_str(), X_OK) == 0;
}

bool is_of_major(const std::string& version, uint32_t major) {
    uint32_t found = 0;
    const auto result = std::from_chars(version.data(), version.data() + version.size(), found);
    return result.ec == std::errc{} && found == major;
}

std::vector<std::string> usual_places(uint32_t major, const std::string& program) {
    std::vector<std::string> out{
        parent_directory(program), "/usr/lib/postgresql/" + std::to_string(major) + "/bin",
        "/usr/pgsql-" + std::to_string(major) + "/bin", "/usr/local/pgsql/bin"};
    const char* path = std::getenv("PATH");
    std::istringstream words(path == nullptr ? "" : path);
    for (std::string word; std::getline(words, word, ':');) {
        if (word.starts_with('/'))
            out.push_back(word);
    }
    return out;
}

// The output is appended to it.
std::string without_file(std::string path) {
    ::unlink(path.c_str());
    return path;
}

}  // namespace

RunningProgram::RunningProgram(const std::string& guard, const std::vector<std::string>& command,
                               const ScratchDirectory& scratch, const std::string& input)
    : name_(command.front()),
      output_(without_file(scratch.path("output"))),
      process_({guard, command, scratch.path(), output_, input}) {}

ProgramOutput RunningProgram::wait(Watch& watch) {
    std::optional<ProgramEnd> end;
    while (!(end = process_.poll()))
        watch.pause(kPauseMillis);
    if (!end->status && is_from_outside(end->signal)) {
        throw Error(ErrorCode::unavailable, "\"" + name_ + "\" was killed", {},
                    "Look for a lack of memory (dmesg), and test again.");
    }
    ProgramOutput out{end->status.value_or(-1),
                      std::string(as_text(read_file(output_, kOutputLimit)))};
    ::unlink(output_.c_str());
    return out;
}

ProgramOutput run_program(const std::string& guard, const std::vector<std::string>& command,
                          const ScratchDirectory& scratch, Watch& watch, const std::string& input) {
    return RunningProgram(guard, command, scratch, input).wait(watch);
}

std::string version_in(const std::string& text) {
    constexpr std::string_view kName = "(PostgreSQL) ";
    const size_t at = text.find(kName);
    if (at == std::string::npos)
        return {};
    const std::string rest = text.substr(at + kName.size());
    return rest.substr(0, rest.find_first_of(" \n"));
}

ServerPrograms find_programs(uint32_t major, const std::string& directory, const std::string& guard,
                             const ScratchDirectory& scratch, Watch& watch) {
    const std::string wanted = std::to_string(major);
    std::vector<std::string> places{directory};
    if (directory.empty())
        places = usual_places(major, guard);
    std::string looked;
    std::set<std::string> seen;
    for (const std::string& place : places) {
        if (!seen.insert(place).second)
            continue;
        looked += (looked.empty() ? "\"" : ", \"") + place + "\"";
        ServerPrograms found{place, {}};
        if (!is_program(found.postgres()))
            continue;
        found.version =
            version_in(run_program(guard, {found.postgres(), "--version"}, scratch, watch).text);
        if (!is_of_major(found.version, major))
            continue;
        if (is_program(found.verifybackup()))
            return found;
        looked += " (without pg_verifybackup)";
    }
    throw Error(ErrorCode::not_found,
                "the server programs of PostgreSQL " + wanted + " are missing",
                "postgres and pg_verifybackup of that version were looked for in " + looked + ".",
                "Install them (Debian: postgresql-" + wanted + " and postgresql-client-" + wanted +
                    "), or name their directory with --bindir.");
}

}  // namespace ark
