#include "core/stream/wake_up.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "core/base/error.hpp"

namespace ark {

WakeUp::WakeUp() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0)
        throw system_error(errno, "could not make an eventfd");
}

WakeUp::~WakeUp() {
    close(fd_);
}

void WakeUp::wake() const noexcept {
    const uint64_t one = 1;
    static_cast<void>(!write(fd_, &one, sizeof(one)));
}

void WakeUp::stop() noexcept {
    stopped_ = true;
    wake();
}

void WakeUp::check() const {
    if (stopped_)
        throw Error(ErrorCode::cancelled, "streaming was ended");
}

short WakeUp::wait(int millis, int socket, bool to_read, bool to_write) const {
    check();
    const auto events = static_cast<short>((to_read ? POLLIN : 0) | (to_write ? POLLOUT : 0));
    // A socket from which nothing is wanted is left out: its end would be told without pause.
    std::array<pollfd, 2> fds{{{fd_, POLLIN, 0}, {events == 0 ? -1 : socket, events, 0}}};
    const int ready = poll(fds.data(), fds.size(), std::max(millis, 0));
    check();
    if (ready <= 0)
        return 0;
    if (fds[0].revents != 0) {
        uint64_t count = 0;
        static_cast<void>(!read(fd_, &count, sizeof(count)));
    }
    return fds[1].revents;
}

}  // namespace ark
