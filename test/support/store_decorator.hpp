#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/store/object_store.hpp"

namespace ark::test {

/// A store that lets a test step in: `before` is told of each call and may throw or change what is
/// underneath. Shared with the test, which may go on using `inner` past the decorator.
class StoreDecorator final : public ObjectStore {
 public:
    using Hook = std::function<void(const std::string& call, const std::string& name)>;

    StoreDecorator(std::shared_ptr<ObjectStore> inner, Hook before)
        : inner_(std::move(inner)), before_(std::move(before)) {}

    PutResult put_if_absent(const std::string& name, ByteView content) override {
        before_("put", name);
        const PutResult result = inner_->put_if_absent(name, content);
        before_("put-answer", name);
        return result;
    }
    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        before_("upload", name);
        return std::make_unique<DecoratedUpload>(inner_->start_upload(name), before_, name);
    }
    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        before_("get", name);
        std::optional<Bytes> content = inner_->get(name, limit);
        if (content && after_read)
            after_read(name, 0, *content);
        return content;
    }
    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        before_("get_range", name);
        const size_t size = inner_->get_range(name, offset, buffer);
        if (after_read)
            after_read(name, offset, buffer.first(size));
        return size;
    }
    std::optional<ObjectInfo> head(const std::string& name) override {
        before_("head", name);
        return inner_->head(name);
    }
    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        before_("list", prefix);
        inner_->list(prefix, visit);
    }
    std::vector<std::string> list_parts(const std::string& prefix) override {
        before_("list_parts", prefix);
        return inner_->list_parts(prefix);
    }
    void make_durable(const std::string& name) override {
        before_("make_durable", name);
        inner_->make_durable(name);
    }
    uint64_t remove_temporaries(const std::string& prefix, UnixMicros before) override {
        before_("remove_temporaries", prefix);
        return inner_->remove_temporaries(prefix, before);
    }
    bool remove(const std::string& name) override {
        before_("remove", name);
        return inner_->remove(name);
    }
    std::optional<uint64_t> free_bytes() override { return inner_->free_bytes(); }
    std::string url() const override { return inner_->url(); }
    std::optional<int64_t> clock_skew() const override { return skew; }
    bool creates_atomically() const override { return atomic; }

    /// May change what is read of an object, from that offset on.
    std::function<void(const std::string& name, uint64_t offset, MutableByteView bytes)> after_read;
    std::optional<int64_t> skew;
    bool atomic = true;

 private:
    class DecoratedUpload final : public Upload {
     public:
        DecoratedUpload(std::unique_ptr<Upload> inner, Hook before, std::string name)
            : inner_(std::move(inner)), before_(std::move(before)), name_(std::move(name)) {}
        void write(ByteView bytes) override {
            before_("write", name_);
            inner_->write(bytes);
        }
        PutResult finish() override {
            before_("finish", name_);
            const PutResult result = inner_->finish();
            before_("finish-answer", name_);
            return result;
        }
        void cancel() noexcept override { inner_->cancel(); }

     private:
        std::unique_ptr<Upload> inner_;
        Hook before_;
        std::string name_;
    };

    std::shared_ptr<ObjectStore> inner_;
    Hook before_;
};

}  // namespace ark::test
