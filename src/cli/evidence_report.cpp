#include "cli/evidence_report.hpp"

#include <cstdio>

#include "core/base/error.hpp"

namespace ark {

namespace {

void print_finding(const Finding& f) {
    std::printf("  %s: %s\n", f.check.c_str(), f.message.c_str());
    const auto more = [](const char* label, const std::string& text) {
        if (!text.empty())
            std::printf("    %-9s %s\n", label, text.c_str());
    };
    more("DATABASE:", f.database);
    more("RELATION:", f.relation);
    more("FILE:", f.path);
    if (f.block)
        more("BLOCK:", std::to_string(*f.block));
    more("OBJECT:", f.object);
    more("DETAIL:", f.detail);
    more("HINT:", f.hint);
}

}  // namespace

void print_findings(const Evidence& evidence) {
    const Findings& errors = evidence.errors;
    for (const Finding& finding : errors.kept)
        print_finding(finding);
    if (errors.count > errors.kept.size())
        std::printf("  and %s more\n", std::to_string(errors.count - errors.kept.size()).c_str());
    for (const std::string& note : evidence.notes)
        std::printf("  NOTE: %s\n", note.c_str());
    std::fflush(stdout);
}

void store_or_warn(Repository& repository, const Evidence& evidence) {
    if (repository.store().as_of())
        return;
    try {
        store_evidence(repository, evidence);
    } catch (const Error& error) {
        std::fprintf(stderr,
                     "pg_ark: warning: could not store the evidence in the repository: %s\n",
                     error.message.c_str());
    }
}

}  // namespace ark
