#include "cli/interrupts.hpp"

#include <atomic>
#include <csignal>
#include <initializer_list>

#include "core/base/cancellation.hpp"

namespace ark {

namespace {

std::atomic<bool> interrupted = false;

void note_interrupt(int /*signal*/) {
    interrupted = true;
    request_cancellation();
}

}  // namespace

void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = note_interrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
        ::sigaction(number, &action, nullptr);
}

bool was_interrupted() noexcept {
    return interrupted;
}

}  // namespace ark
