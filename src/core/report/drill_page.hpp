#pragma once

#include <string>

#include "core/report/drill_facts.hpp"

namespace ark {

/// The report as one HTML page: no scripts, no links, nothing that is fetched (its policy forbids
/// it), for a wide or a narrow screen, light or dark, and for paper.
std::string to_html(const DrillFacts& facts);

/// The page's style sheet.
extern const char kDrillStyle[];

}  // namespace ark
