#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/store/cloud/as_of_store.hpp"
#include "core/store/name.hpp"
#include "core/store/s3/s3_versions.hpp"
#include "test/support/versioned_bucket.hpp"

namespace ark::test {

/// A store whose every read goes through a view of a versioned bucket's past, while somebody
/// overwrites or deletes, later, each object that is put. Such a view has to be as good as any
/// store; who writes goes to the bucket.
class PastStore final : public ObjectStore {
 public:
    static constexpr int kPage = 50;

    PutResult put_if_absent(const std::string& name, ByteView content) override {
        check_object_name(name);
        const std::lock_guard lock(mutex_);
        const std::string key = kPrefix + name;
        if (bucket_->holds(key, moment_))
            return PutResult::exists;
        bucket_->put(key, content, now_micros());
        attack(key);
        return PutResult::created;
    }
    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        check_object_name(name);
        return std::make_unique<PastUpload>(*this, name);
    }
    bool remove(const std::string& name) override {
        check_object_name(name);
        const std::lock_guard lock(mutex_);
        const bool was_there = bucket_->holds(kPrefix + name, moment_);
        if (was_there)
            bucket_->remove(kPrefix + name, now_micros());
        return was_there;
    }

    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        return view()->get(name, limit);
    }
    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        return view()->get_range(name, offset, buffer);
    }
    std::optional<ObjectInfo> head(const std::string& name) override { return view()->head(name); }
    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        view()->list(prefix, visit);
    }
    std::vector<std::string> list_parts(const std::string& prefix) override {
        return view()->list_parts(prefix);
    }
    std::optional<uint64_t> free_bytes() override { return view()->free_bytes(); }
    std::string url() const override { return "past:"; }

 private:
    class PastUpload final : public Upload {
     public:
        PastUpload(PastStore& store, std::string name) : store_(store), name_(std::move(name)) {}
        void write(ByteView bytes) override {
            require_open();
            content_.insert(content_.end(), bytes.begin(), bytes.end());
        }
        PutResult finish() override {
            require_open();
            is_open_ = false;
            return store_.put_if_absent(name_, content_);
        }
        void cancel() noexcept override { is_open_ = false; }

     private:
        void require_open() const {
            if (!is_open_)
                throw Error(ErrorCode::internal, "an upload that has ended");
        }
        PastStore& store_;
        const std::string name_;
        Bytes content_;
        bool is_open_ = true;
    };

    static constexpr const char* kPrefix = "ours/";

    // A view keeps what it has learnt: the past does not change. This one's does.
    std::unique_ptr<ObjectStore> view() {
        CloudParts parts;
        parts.url.text = "s3://bucket/ours";
        parts.url.bucket = "bucket";
        parts.url.prefix = "ours";
        parts.transport = bucket_;
        return make_as_of_store(
            std::move(parts),
            std::make_unique<S3Versions>(S3Options{"http://s3.test", "/", true, {}, {}}), moment_);
    }

    void attack(const std::string& key) {
        constexpr UnixMicros kLater = 60LL * 1000000;
        const std::string rubbish = "rubbish";
        switch (attacks_++ % 3) {
            case 0:
                bucket_->put(key, as_bytes(rubbish), moment_ + kLater);
                break;
            case 1:
                bucket_->remove(key, moment_ + kLater);
                break;
            default:
                bucket_->put(key + ".later/x", as_bytes(rubbish), moment_ + kLater);
        }
    }

    const UnixMicros moment_ = now_micros() + 3600LL * 1000000;
    const std::shared_ptr<VersionedBucket> bucket_ = std::make_shared<VersionedBucket>(kPage);
    std::mutex mutex_;
    int attacks_ = 0;
};

}  // namespace ark::test
