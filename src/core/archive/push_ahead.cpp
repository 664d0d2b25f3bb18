#include "core/archive/push_ahead.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <new>
#include <set>
#include <system_error>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/memory.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

PushAhead::PushAhead(PushTarget target, PushAheadOptions options)
    : target_(std::move(target)),
      options_(std::move(options)),
      contents_(std::max<size_t>(options_.compressors, 1)) {
    const Lock lock(mutex_);
    try {
        while (threads_.size() < std::max<size_t>(options_.threads, 1)) {
            threads_.emplace_back([this] { work(); });
            ++live_threads_;
        }
    } catch (const std::system_error&) {
        if (threads_.empty())
            throw;  // with one of them everything works, only slower
    }
}

PushAhead::~PushAhead() {
    stop(std::chrono::milliseconds(0));
    for (std::thread& thread : threads_)
        thread.join();
}

void PushAhead::start(const std::string& name, const std::string& path) {
    const Lock lock(mutex_);
    if (request_)
        throw Error(ErrorCode::internal, "a request is under way");
    request_ = Request{name, path, State::waiting, false, PushResult::stored, nullptr};
    if (answer_from_memory())
        return;
    const auto found = segments_.find(name);
    if (found != segments_.end() && found->second.state == State::running) {
        request_->joined = true;
    } else {
        segments_.erase(name);
        work_.notify_one();
    }
}

std::optional<PushResult> PushAhead::wait(std::chrono::milliseconds timeout) {
    Lock lock(mutex_);
    progress_.wait_for(lock, timeout, [this] { return request_->state == State::done; });
    if (request_->state != State::done)
        return std::nullopt;
    const Request request = std::move(*request_);
    request_.reset();
    if (request.error)
        std::rethrow_exception(request.error);
    return request.result;
}

size_t PushAhead::ahead() const {
    const Lock lock(mutex_);
    return static_cast<size_t>(std::ranges::count_if(
        segments_, [](const auto& entry) { return entry.second.state == State::done; }));
}

bool PushAhead::stop(std::chrono::milliseconds patience) {
    Lock lock(mutex_);
    stop_ = true;
    work_.notify_all();
    return progress_.wait_for(lock, patience, [this] { return live_threads_ == 0; });
}

void PushAhead::work() {
    // Kept from one segment to the next, given back while there is none.
    std::unique_ptr<PushBuffers> buffers;
    Lock lock(mutex_);
    while (!stop_) {
        try {
            if (do_something(lock, buffers))
                continue;
            if (buffers) {
                lock.unlock();
                buffers.reset();
                contents_.shrink();
                give_back_freed_memory();
                lock.lock();
                continue;  // something may have come meanwhile
            }
            work_.wait(lock);
        } catch (const std::bad_alloc&) {
            // Not even room for a name: another thread's segment will go soon.
            buffers.reset();
            work_.wait_for(lock, std::chrono::milliseconds(100));
        }
    }
    --live_threads_;
    progress_.notify_all();
}

std::map<std::string, PushAhead::Segment>::iterator PushAhead::first_waiting() {
    return std::ranges::find_if(
        segments_, [](const auto& entry) { return entry.second.state == State::waiting; });
}

void PushAhead::forget_waiting() {
    std::erase_if(segments_,
                  [](const auto& entry) { return entry.second.state == State::waiting; });
}

// The archiver's own request goes before everything else.
bool PushAhead::do_something(Lock& lock, std::unique_ptr<PushBuffers>& buffers) {
    if (request_ && request_->state == State::waiting && !request_->joined && may_begin()) {
        serve(lock, buffers);
        return true;
    }
    if (const auto next = first_waiting(); next != segments_.end() && may_begin()) {
        store_next(lock, std::string(next->first), buffers);
        return true;
    }
    if (look_ && !looking_) {
        look(lock);
        return true;
    }
    return false;
}

PushBuffers& PushAhead::in(std::unique_ptr<PushBuffers>& buffers) const {
    if (!buffers) {
        buffers = std::make_unique<PushBuffers>(target_.compression_level);
        buffers->look_first = look_first_;
    }
    buffers->check_tail = check_tail_;
    return *buffers;
}

void PushAhead::note(const PushBuffers& buffers) {
    look_first_ = buffers.look_first;
    check_tail_ = buffers.check_tail;
}

uint64_t PushAhead::note_begin() {
    ++running_;
    return doubts_;
}

// What was on its way beside the one that raised the doubt does not end it.
void PushAhead::note_end(uint64_t begin, const std::string& name, PushResult result, bool failed) {
    --running_;
    const auto file = parse_wal_file_name(name);
    const bool is_segment = file && file->kind == WalFileKind::segment;
    if (failed || (is_segment && result == PushResult::present)) {
        ++doubts_;
        one_by_one_ = true;
    } else if (is_segment && begin == doubts_) {
        one_by_one_ = false;
    }
    if (may_begin())
        work_.notify_all();
}

void PushAhead::serve(Lock& lock, std::unique_ptr<PushBuffers>& buffers) {
    const std::string name = request_->name;
    const std::string path = request_->path;
    request_->state = State::running;
    PushResult result = PushResult::stored;
    std::exception_ptr error;
    const uint64_t begin = note_begin();
    lock.unlock();
    try {
        PushBuffers& memory = in(buffers);
        PooledContent content(contents_, memory.content);
        memory.sealed = [&content] { content.give_back(); };
        result = push_wal_file(target_, name, path, memory);
        note(*buffers);
    } catch (...) {
        error = std::current_exception();
    }
    lock.lock();
    note_end(begin, name, result, error != nullptr);
    answer(result, error);
}

void PushAhead::answer(PushResult result, std::exception_ptr error) {
    request_->state = State::done;
    request_->result = result;
    request_->error = std::move(error);
    if (request_->error) {
        check_tail_ = rests_ = true;
        forget_waiting();
    } else {
        rests_ = false;
        last_served_ = request_->name;
        // Not after each one: with a long backlog the directory is large.
        if (segments_.size() <= options_.limit / 2) {
            look_ = true;
            work_.notify_one();
        }
    }
    progress_.notify_all();
}

// True when the segment was stored ahead, and the file offered is the one that was.
bool PushAhead::answer_from_memory() {
    const auto found = segments_.find(request_->name);
    if (found == segments_.end() || found->second.state != State::done)
        return false;
    const Segment segment = found->second;
    segments_.erase(found);
    try {
        if (identity_of_path(request_->path) != segment.identity)
            return false;
    } catch (const Error&) {
        return false;  // the push itself will say what is wrong with the file
    }
    answer(segment.result, nullptr);
    return true;
}

// The name is no reference into the map: its entry may go meanwhile.
void PushAhead::store_next(Lock& lock, const std::string& name,
                           std::unique_ptr<PushBuffers>& buffers) {
    segments_[name].state = State::running;
    std::exception_ptr error;
    bool was_taken_away = false;
    FileIdentity identity;
    PushResult result = PushResult::stored;
    const uint64_t begin = note_begin();
    lock.unlock();
    try {
        PushBuffers& memory = in(buffers);
        PooledContent content(contents_, memory.content);
        memory.sealed = [&content] { content.give_back(); };
        identity = read_wal_file(wal_path(name), name, target_.segment_size, true, memory.content);
        result = push_content(target_, name, memory);
        note(*buffers);
    } catch (const Error& e) {
        error = std::current_exception();
        was_taken_away = e.code == ErrorCode::refused;
    } catch (...) {
        error = std::current_exception();
    }
    lock.lock();
    note_end(begin, name, result, error != nullptr);
    segments_[name] = {State::done, identity, result};
    end_segment(name, error, was_taken_away);
}

// A file that the server has taken back since it was seen says nothing of the others.
void PushAhead::end_segment(const std::string& name, std::exception_ptr error,
                            bool was_taken_away) {
    if (error) {
        check_tail_ = true;
        segments_.erase(name);
        if (!was_taken_away) {
            forget_waiting();
            look_ = false;
            rests_ = true;
        }
    } else if (!rests_ && segments_.size() < options_.limit && first_waiting() == segments_.end()) {
        look_ = true;  // the server may have finished more since
    }
    const bool asked_for = request_ && request_->joined && request_->name == name;
    if (asked_for && error) {
        answer(PushResult::stored, std::move(error));
    } else if (asked_for && !answer_from_memory()) {
        request_->joined = false;  // another file than the one that was stored
        work_.notify_one();
    }
}

void PushAhead::look(Lock& lock) {
    look_ = false;
    looking_ = true;
    const std::string not_this = last_served_;
    lock.unlock();
    std::vector<std::string> found;
    try {
        found = read_ready(not_this);
    } catch (...) {  // without memory for names there is nothing to store ahead
    }
    lock.lock();
    looking_ = false;
    take_found(found);
}

// The lowest names first, as the archiver takes them.
void PushAhead::take_found(const std::vector<std::string>& found) {
    std::erase_if(segments_, [&](const auto& entry) {
        struct stat st {};
        // The archiver has got its answer some other way: nobody will ask any more.
        return entry.second.state == State::done && stat(ready_path(entry.first).c_str(), &st) != 0;
    });
    bool any = false;
    for (const std::string& name : found) {
        if (segments_.size() >= options_.limit)
            break;
        if (name == last_served_ || (request_ && request_->name == name))
            continue;
        any = segments_.try_emplace(name).second || any;
    }
    if (any)
        work_.notify_all();
}

std::string PushAhead::wal_path(const std::string& name) const {
    return options_.data_directory + "/pg_wal/" + name;
}

std::string PushAhead::ready_path(const std::string& name) const {
    return options_.data_directory + "/pg_wal/archive_status/" + name + ".ready";
}

// At most twice as many names as may be stored ahead: some of them are already.
std::vector<std::string> PushAhead::read_ready(const std::string& not_this) const {
    const std::string directory = options_.data_directory + "/pg_wal/archive_status";
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
    std::set<std::string> names;
    if (!stream)
        return {};
    while (const dirent* entry = readdir(stream.get())) {
        const std::string_view file = entry->d_name;
        if (file.size() != 24 + 6 || !file.ends_with(".ready"))
            continue;
        const std::string name(file.substr(0, 24));
        if (name == not_this || !parse_wal_file_name(name))
            continue;
        names.insert(name);
        if (names.size() > 2 * options_.limit)
            names.erase(std::prev(names.end()));
    }
    return {names.begin(), names.end()};
}

}  // namespace ark
