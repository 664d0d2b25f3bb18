#include "core/verify/context.hpp"

#include <utility>

namespace ark {

namespace {

constexpr uint64_t kKeptOfAKind = 100;

}  // namespace

bool is_damage(const Error& error) {
    switch (error.code) {
        case ErrorCode::corrupt:
        case ErrorCode::not_found:
        case ErrorCode::conflict:
        case ErrorCode::unsupported:
        case ErrorCode::io_error:  // a sector that cannot be read: a store that is away says so
            return !error.retryable;
        default:
            return false;
    }
}

void DamageList::add(Finding finding) {
    const std::lock_guard lock(mutex_);
    ++counts_[finding.check];
    const std::string kind = finding.check + (finding.path.empty() ? "" : "/");
    if (++of_kind_[kind] > kKeptOfAKind) {
        ++findings_.count;
        return;
    }
    findings_.add(std::move(finding));
}

uint64_t DamageList::count(const std::string& check) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(check);
    return found == counts_.end() ? 0 : found->second;
}

Findings DamageList::take() {
    const std::lock_guard lock(mutex_);
    return std::move(findings_);
}

}  // namespace ark
