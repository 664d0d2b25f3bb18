#include "core/pipeline/frame_crew.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

namespace ark {

FrameCrew::Member::Member(FrameCrew& crew) : crew_(crew) {
    const std::lock_guard lock(crew_.mutex_);
    ++crew_.busy_;
}

FrameCrew::Member::~Member() {
    const std::lock_guard lock(crew_.mutex_);
    if (std::exchange(busy_, false))
        --crew_.busy_;
    crew_.changed_.notify_all();
}

void FrameCrew::Member::help() {
    std::unique_ptr<FrameCompressor> compressor;
    try {
        compressor = std::make_unique<FrameCompressor>(crew_.level_);
    } catch (
        const std::exception&) {  // without memory for it the others take longer, and that is all
    }
    Lock lock(crew_.mutex_);
    busy_ = false;
    --crew_.busy_;
    crew_.changed_.notify_all();
    if (!compressor)
        return;
    ++crew_.helpers_;
    while (crew_.busy_ > 0 && !crew_.closed_) {
        if (crew_.waiting_.empty()) {
            crew_.changed_.wait(lock);
            continue;
        }
        FrameTask* task = crew_.waiting_.front();
        crew_.waiting_.pop_front();
        crew_.compress(lock, *task, *compressor);
    }
    --crew_.helpers_;
}

void FrameCrew::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
}

size_t FrameCrew::helpers() const {
    const std::lock_guard lock(mutex_);
    return closed_ ? 0 : helpers_;
}

void FrameCrew::compress(Lock& lock, FrameTask& task, FrameCompressor& compressor) {
    task.state = FrameTask::State::running;
    lock.unlock();
    size_t stored = 0;
    std::exception_ptr failure;
    try {
        stored = compressor.compress(ByteView(task.plain).first(task.plain_bytes), task.stored);
    } catch (...) {
        failure = std::current_exception();
    }
    lock.lock();
    task.stored_bytes = stored;
    task.failure = std::move(failure);
    task.state = FrameTask::State::done;
    changed_.notify_all();
}

FrameRun::~FrameRun() {
    FrameCrew::Lock lock(crew_.mutex_);
    while (FrameTask* task = take_waiting())
        task->state = FrameTask::State::done;
    crew_.changed_.wait(lock, [&] {
        return std::ranges::all_of(
            added_, [](const auto& task) { return task->state == FrameTask::State::done; });
    });
}

bool FrameRun::can_share() {
    const size_t helpers = crew_.helpers();
    if (helpers == 0)
        return false;
    // One for each helper to compress, one that waits for it, and the caller's own.
    while (added_.size() > 2 * helpers)
        emit_first();
    try {
        if (!next_ && free_.empty())
            next_ = std::make_unique<FrameTask>();
    } catch (const std::bad_alloc&) {
        if (added_.empty())
            return false;  // it goes without helpers, only slower
        emit_first();
    }
    if (!next_) {
        next_ = std::move(free_.back());
        free_.pop_back();
    }
    return true;
}

void FrameRun::add() {
    next_->plain_bytes = next_->plain.size();
    const FrameCrew::Lock lock(crew_.mutex_);
    next_->state = FrameTask::State::waiting;
    added_.push_back(std::move(next_));
    crew_.waiting_.push_back(added_.back().get());
    crew_.changed_.notify_all();
}

void FrameRun::finish() {
    while (!added_.empty())
        emit_first();
}

// The first of this run's frames that nobody has begun; no longer offered to others.
FrameTask* FrameRun::take_waiting() {
    for (const auto& task : added_) {
        if (task->state != FrameTask::State::waiting)
            continue;
        std::erase(crew_.waiting_, task.get());
        return task.get();
    }
    return nullptr;
}

// Until the first one is done the caller compresses as well.
void FrameRun::emit_first() {
    {
        FrameCrew::Lock lock(crew_.mutex_);
        while (added_.front()->state != FrameTask::State::done) {
            if (FrameTask* task = take_waiting()) {
                crew_.compress(lock, *task, own_);
            } else {
                crew_.changed_.wait(lock);
            }
        }
    }
    std::unique_ptr<FrameTask> first = std::move(added_.front());
    added_.pop_front();
    if (first->failure)
        std::rethrow_exception(first->failure);
    emit_(*first);
    free_.push_back(std::move(first));
}

}  // namespace ark
