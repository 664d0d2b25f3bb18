#pragma once

#include <chrono>
#include <functional>
#include <thread>
#include <utility>

namespace ark {

/// Waits for what may be on its way: a running server stores segments out of order, so that one can
/// be missing for a moment although later ones are there. A budget for a whole verification.
class Patience {
 public:
    Patience(std::chrono::milliseconds budget, std::function<void()> tick)
        : left_(budget), tick_(std::move(tick)) {}

    /// True as soon as `appeared` says so; false when the budget is used up.
    bool wait_for(const std::function<bool()>& appeared) {
        constexpr std::chrono::milliseconds kStep{200};
        while (left_ > std::chrono::milliseconds(0)) {
            std::this_thread::sleep_for(kStep);
            left_ -= kStep;
            tick_();
            if (appeared())
                return true;
        }
        return false;
    }

 private:
    std::chrono::milliseconds left_;
    std::function<void()> tick_;
};

}  // namespace ark
