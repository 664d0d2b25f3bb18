#include "core/verify/context.hpp"

#include <utility>

#include "core/pipeline/digest.hpp"

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
    if (!finding.object.empty())
        objects_.insert(finding.object);
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

uint64_t DamageList::count_but(const std::string& check) const {
    const std::lock_guard lock(mutex_);
    uint64_t sum = 0;
    for (const auto& [of, count] : counts_)
        sum += of == check ? 0 : count;
    return sum;
}

std::set<std::string> DamageList::objects() const {
    const std::lock_guard lock(mutex_);
    return objects_;
}

Findings DamageList::take() {
    const std::lock_guard lock(mutex_);
    return std::move(findings_);
}

std::string identity_of(const BackupMarker& backup) {
    constexpr size_t kDigits = 32;
    const std::string text = to_json(backup) + (backup.is_encrypted ? "encrypted" : "");
    return sha256_hex(as_bytes(text)).substr(0, kDigits);
}

bool VerifyContext::is_fresh(const std::string& place) const {
    return freshness != nullptr && freshness->is_fresh(place, identity);
}

void VerifyContext::read(const std::string& place) const {
    if (freshness != nullptr)
        freshness->read(place, identity);
}

void VerifyContext::skip(const std::string& place) const {
    if (freshness != nullptr)
        freshness->skip(place, identity);
}

}  // namespace ark
