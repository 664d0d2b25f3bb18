#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "core/base/error.hpp"
#include "core/store/name.hpp"
#include "core/store/object_store.hpp"

namespace ark {

namespace {

struct Object {
    Bytes content;
    UnixMicros modified = 0;
};

// Shared with the uploads under way, which may outlive a call into the store.
struct Objects {
    PutResult insert(const std::string& name, Bytes content) {
        const std::lock_guard lock(mutex);
        const bool created =
            by_name.try_emplace(name, Object{std::move(content), now_micros()}).second;
        return created ? PutResult::created : PutResult::exists;
    }
    std::mutex mutex;
    std::map<std::string, Object> by_name;
};

class MemoryUpload final : public Upload {
 public:
    MemoryUpload(std::shared_ptr<Objects> objects, std::string name)
        : objects_(std::move(objects)), name_(std::move(name)) {}

    void write(ByteView bytes) override {
        if (!objects_)
            throw Error(ErrorCode::internal, "write to an upload that has ended");
        content_.insert(content_.end(), bytes.begin(), bytes.end());
    }
    PutResult finish() override {
        const auto objects = std::exchange(objects_, nullptr);
        if (!objects)
            throw Error(ErrorCode::internal, "finish of an upload that has ended");
        return objects->insert(name_, std::move(content_));
    }
    void cancel() noexcept override { objects_.reset(); }

 private:
    std::shared_ptr<Objects> objects_;  // null once the upload has ended
    std::string name_;
    Bytes content_;
};

bool is_below(const std::string& name, const std::string& prefix) {
    return prefix.empty() ||
           (name.starts_with(prefix) && name.size() > prefix.size() && name[prefix.size()] == '/');
}

class MemoryStore final : public ObjectStore {
 public:
    PutResult put_if_absent(const std::string& name, ByteView content) override {
        check_object_name(name);
        return objects_->insert(name, Bytes(content.begin(), content.end()));
    }

    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        check_object_name(name);
        return std::make_unique<MemoryUpload>(objects_, name);
    }

    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        check_object_name(name);
        const std::lock_guard lock(objects_->mutex);
        const auto found = objects_->by_name.find(name);
        if (found == objects_->by_name.end())
            return std::nullopt;
        if (found->second.content.size() > limit) {
            throw Error(ErrorCode::corrupt, "object \"" + name + "\" is longer than expected",
                        "It has " + std::to_string(found->second.content.size()) +
                            " bytes; the limit is " + std::to_string(limit) + ".");
        }
        return found->second.content;
    }

    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        check_object_name(name);
        const std::lock_guard lock(objects_->mutex);
        const auto found = objects_->by_name.find(name);
        if (found == objects_->by_name.end()) {
            throw Error(ErrorCode::not_found, "object \"" + name + "\" does not exist");
        }
        const Bytes& content = found->second.content;
        if (offset >= content.size())
            return 0;
        const size_t size = std::min<uint64_t>(buffer.size(), content.size() - offset);
        std::copy_n(content.begin() + static_cast<ptrdiff_t>(offset), size, buffer.begin());
        return size;
    }

    std::optional<ObjectInfo> head(const std::string& name) override {
        check_object_name(name);
        const std::lock_guard lock(objects_->mutex);
        const auto found = objects_->by_name.find(name);
        if (found == objects_->by_name.end())
            return std::nullopt;
        return ObjectInfo{name, found->second.content.size(), found->second.modified};
    }

    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        check_object_prefix(prefix);
        for (const ObjectInfo& info : collect(prefix)) {
            if (!visit(info))
                return;
        }
    }

    std::vector<std::string> list_parts(const std::string& prefix) override {
        check_object_prefix(prefix);
        const size_t skip = prefix.empty() ? 0 : prefix.size() + 1;
        std::vector<std::string> parts;
        for (const ObjectInfo& info : collect(prefix)) {
            parts.push_back(info.name.substr(skip, info.name.find('/', skip) - skip));
        }
        std::sort(parts.begin(), parts.end());
        parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
        return parts;
    }

    bool remove(const std::string& name) override {
        check_object_name(name);
        const std::lock_guard lock(objects_->mutex);
        return objects_->by_name.erase(name) > 0;
    }

    std::optional<uint64_t> free_bytes() override { return std::nullopt; }

    std::string url() const override { return "memory:"; }

 private:
    // A copy, so that visitors may call back into the store.
    std::vector<ObjectInfo> collect(const std::string& prefix) {
        const std::lock_guard lock(objects_->mutex);
        std::vector<ObjectInfo> found;
        for (const auto& [name, object] : objects_->by_name) {
            if (is_below(name, prefix)) {
                found.push_back({name, object.content.size(), object.modified});
            }
        }
        return found;
    }

    std::shared_ptr<Objects> objects_ = std::make_shared<Objects>();
};

}  // namespace

std::unique_ptr<ObjectStore> make_memory_store() {
    return std::make_unique<MemoryStore>();
}

}  // namespace ark
