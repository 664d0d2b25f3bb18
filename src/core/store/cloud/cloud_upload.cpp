#include "core/store/cloud/cloud_upload.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/http/failure.hpp"

namespace ark {

namespace {

// Every vendor takes 10,000 parts or more. From here on parts are larger.
constexpr int kLargerPartsFrom = 5000;
constexpr size_t kLargerBy = 16;

}  // namespace

std::string random_token() {
    std::array<std::byte, 16> random{};
    if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
        throw Error(ErrorCode::internal, "the system has no random bytes");
    return to_hex(random);
}

CloudUpload::CloudUpload(UploadContext context, std::string key)
    : context_(std::move(context)), key_(std::move(key)), token_(random_token()) {}

size_t CloudUpload::part_bytes() const {
    const bool many = parts_.size() >= kLargerPartsFrom;
    return context_.options.part_bytes * (many ? kLargerBy : 1);
}

void CloudUpload::write(ByteView bytes) {
    if (ended_)
        throw Error(ErrorCode::internal, "write to an upload that has ended");
    while (!bytes.empty()) {
        if (buffer_.size() >= part_bytes())
            send_part();
        const size_t n = std::min(bytes.size(), part_bytes() - buffer_.size());
        buffer_.insert(buffer_.end(), bytes.begin(),
                       bytes.begin() + static_cast<std::ptrdiff_t>(n));
        bytes = bytes.subspan(n);
    }
}

void CloudUpload::begin() {
    std::optional<HttpRequest> request = context_.api.begin_upload(key_, token_);
    id_ = request ? context_.api.upload_id(context_.transport.perform(*request)) : token_;
    PG_ARK_FAULT_POINT("cloud_upload_begun");
}

void CloudUpload::send_part() {
    if (!id_)
        begin();
    wait_for_parts(context_.options.parts_in_flight - 1);
    int number = 0;
    Bytes content;
    {
        const std::lock_guard lock(mutex_);
        parts_.emplace_back();
        number = static_cast<int>(parts_.size());
        ++in_flight_;
        content = std::move(buffer_);
        buffer_ = {};
        if (!spare_.empty()) {
            buffer_ = std::move(spare_.back());
            spare_.pop_back();
        }
    }
    buffer_.clear();
    buffer_.reserve(part_bytes());
    // std::function copies, and a part is not to be copied.
    auto shared = std::make_shared<Bytes>(std::move(content));
    context_.threads.run([this, number, shared] { upload_part(number, std::move(*shared)); });
}

void CloudUpload::upload_part(int number, Bytes content) noexcept {
    BlobPart part{number, {}, {}};
    std::exception_ptr error;
    try {
        bool dead = false;
        {
            const std::lock_guard lock(mutex_);
            dead = dead_;
        }
        if (!dead) {
            const HttpRequest request = context_.api.put_part(key_, *id_, part, content);
            const HttpResponse response = context_.transport.perform(request);
            if (!response.ok()) {
                throw Error(ErrorCode::unavailable, "upload of \"" + key_ + "\" is gone",
                            "The store does not know it any more: status " +
                                std::to_string(response.status) + ".");
            }
            context_.api.take_part(response, part);
            PG_ARK_FAULT_POINT("cloud_part_sent");
        }
    } catch (...) {
        error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    parts_[static_cast<size_t>(number - 1)] = std::move(part);
    spare_.push_back(std::move(content));
    if (error && !error_)
        error_ = error;
    dead_ = dead_ || error_;
    --in_flight_;
    changed_.notify_all();
}

void CloudUpload::wait_for_parts(size_t at_most) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return in_flight_ <= at_most; });
    if (error_)
        std::rethrow_exception(error_);
}

PutResult CloudUpload::finish() {
    if (ended_)
        throw Error(ErrorCode::internal, "finish of an upload that has ended");
    PutResult result = PutResult::created;
    if (!id_) {
        result = context_.put(key_, buffer_, token_);
    } else {
        if (!buffer_.empty())
            send_part();
        wait_for_parts(0);
        result = commit();
    }
    ended_ = true;
    return result;
}

PutResult CloudUpload::commit() {
    // Not every store heeds the condition when an upload is finished.
    if (context_.token_at(key_)) {
        forget();
        return PutResult::exists;
    }
    PG_ARK_FAULT_POINT("cloud_before_finish");
    std::string body;
    const HttpRequest request = context_.api.finish_upload(key_, *id_, parts_, token_, body);
    const HttpResponse response = context_.transport.perform(request);
    if (response.ok()) {
        PG_ARK_FAULT_POINT("cloud_after_finish");
        return PutResult::created;
    }
    // "No such upload", or "exists", may be the echo of a try that was carried out.
    const std::optional<std::string> there = context_.token_at(key_);
    if (there == token_)
        return PutResult::created;
    forget();
    if (there)
        return PutResult::exists;
    throw Error(
        ErrorCode::unavailable, "upload of \"" + key_ + "\" is gone",
        "The store does not know it any more: status " + std::to_string(response.status) + ".");
}

// Best effort: what stays is found by remove_temporaries.
void CloudUpload::forget() noexcept {
    try {
        if (const auto request = context_.api.abort_upload(key_, *id_))
            context_.transport.perform(*request);
    } catch (...) {
        static_cast<void>(0);
    }
}

void CloudUpload::cancel() noexcept {
    if (ended_)
        return;
    ended_ = true;
    std::unique_lock lock(mutex_);
    dead_ = true;
    // A part that arrives after the abort would stay.
    changed_.wait(lock, [&] { return in_flight_ == 0; });
    lock.unlock();
    if (id_)
        forget();
}

}  // namespace ark
