#pragma once

#include <functional>

#include "core/stream/streaming.hpp"

namespace ark {

/// Besides what every stream tells.
class StreamJobListener : public StreamListener {
 public:
    /// It goes on by itself after a pause.
    virtual void failed(const Error& error) = 0;
};

/// Calls `once` again whenever it has ended: at once where it returned, after a pause where trying
/// again may help; the pause grows from one second to thirty while nothing becomes durable. Throws
/// what trying again does not mend: conflict, refused, wrong arguments; cancelled when `wake` is
/// stopped.
void stream_again(StreamStatus& status, StreamJobListener& listener, const WakeUp& wake,
                  const std::function<void()>& once);

}  // namespace ark
