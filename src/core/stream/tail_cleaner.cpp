#include "core/stream/tail_cleaner.hpp"

#include <utility>

#include "core/archive/tail.hpp"
#include "core/base/fault.hpp"
#include "core/stream/adoption.hpp"

namespace ark {

TailCleaner::TailCleaner(Repository& repository, std::function<void(const Error&)> warn)
    : repository_(repository), warn_(std::move(warn)) {}

void TailCleaner::attempt(const PushTarget& target, const std::function<void()>& task) {
    if (is_refused_)
        return;
    try {
        task();
    } catch (const Error& error) {
        // What stays for another reason is looked for again at the next start; nobody reads it.
        if (error.code != ErrorCode::permission_denied || is_refused_.exchange(true))
            return;
        warn_(Error(ErrorCode::permission_denied,
                    "pieces of WAL segments that are stored as a whole stay in the repository",
                    "They may not be removed: " + error.message + "." +
                        (error.detail.empty() ? "" : " " + error.detail),
                    "They do no harm. Where the right is kept from this server on purpose let a "
                    "lifecycle rule of the bucket remove what is below " +
                        target.cluster +
                        "/tail/ some days later, and set archive_timeout to less than that."));
    }
}

void TailCleaner::remove(const PushTarget& target, const std::string& segment) {
    attempt(target, [&] {
        PG_ARK_FAULT_POINT("stream_before_cleanup");
        remove_tail(target.store, target.cluster, segment);
    });
}

void TailCleaner::remove_old(const PushTarget& target, WalSegment before) {
    attempt(target, [&] { remove_old_tails(repository_, target, before); });
}

}  // namespace ark
