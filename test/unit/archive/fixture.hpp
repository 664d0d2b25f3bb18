#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/object.hpp"
#include "core/repo/repository.hpp"
#include "core/store/object_store.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark::test {

inline const std::string kCluster = std::to_string(WalBuilder::kSystemIdentifier);

/// What a test does to a store while others use it.
struct StoreHooks {
    std::atomic<bool> broken = false;  ///< every call fails
    std::atomic<bool> lags = false;    ///< listings show nothing
    std::atomic<int> puts = 0;
    std::atomic<int> gets = 0;
    std::atomic<int> ranges = 0;  ///< reads of a part: of a header, mostly
    /// Called before each put and get; may throw or wait.
    std::function<void(const std::string& name)> before_put = [](const std::string&) {};
    std::function<void(const std::string& name)> before_get = [](const std::string&) {};
    std::function<void(const std::string& name)> before_range = [](const std::string&) {};
    std::function<void()> before_list = [] {};
};

/// A view of a store that outlives it, with hooks. Several views of one store may live at a time.
class HookedStore final : public ObjectStore {
 public:
    HookedStore(std::shared_ptr<ObjectStore> base, std::shared_ptr<StoreHooks> hooks)
        : base_(std::move(base)), hooks_(std::move(hooks)) {}

    PutResult put_if_absent(const std::string& name, ByteView content) override {
        check();
        ++hooks_->puts;
        hooks_->before_put(name);
        return base_->put_if_absent(name, content);
    }
    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        return base_->start_upload(name);
    }
    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        check();
        ++hooks_->gets;
        hooks_->before_get(name);
        return base_->get(name, limit);
    }
    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        check();
        ++hooks_->ranges;
        hooks_->before_range(name);
        return base_->get_range(name, offset, buffer);
    }
    std::optional<ObjectInfo> head(const std::string& name) override {
        check();
        return base_->head(name);
    }
    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        check();
        hooks_->before_list();
        if (!hooks_->lags)
            base_->list(prefix, visit);
    }
    std::vector<std::string> list_parts(const std::string& prefix) override {
        check();
        return base_->list_parts(prefix);
    }
    bool remove(const std::string& name) override { return base_->remove(name); }
    std::optional<uint64_t> free_bytes() override { return base_->free_bytes(); }
    std::string url() const override { return "memory://test"; }

 private:
    void check() const {
        if (hooks_->broken)
            throw Error(ErrorCode::unavailable, "the store is away");
    }

    std::shared_ptr<ObjectStore> base_;
    std::shared_ptr<StoreHooks> hooks_;
};

/// A repository in memory with one cluster.
class TestRepository {
 public:
    TestRepository() {
        repository = open(OpenMode::create);
        hooks->puts = 1;  // its mark, without what was tried before
    }

    std::unique_ptr<Repository> open(OpenMode mode = OpenMode::read) {
        return Repository::open(std::make_unique<HookedStore>(base, hooks), mode);
    }
    ObjectStore& store() { return repository->store(); }

    void put_segment(const std::string& name, ByteView bytes) {
        put_object(ObjectKind::wal, place::segment(name), bytes);
    }
    /// Its place.
    std::string put_partial(const std::string& segment, ByteView bytes) {
        const std::string where = place::partial(segment + ".partial", sha256_hex(bytes));
        put_object(ObjectKind::partial, where, bytes);
        return where;
    }
    /// Bytes [from, to) of a segment as one of its pieces; its place.
    std::string put_piece(const std::string& segment, ByteView bytes, uint64_t from, uint64_t to,
                          std::optional<uint64_t> durable_bytes = std::nullopt) {
        const std::string where = place::tail(segment, static_cast<uint32_t>(from));
        put_object(ObjectKind::tail, where, bytes.subspan(from, to - from), {}, durable_bytes);
        return where;
    }
    void put_history(TimelineId timeline, const std::string& content) {
        base->put_if_absent(kCluster + "/" + place::history(timeline), as_bytes(content));
    }
    void put_object(ObjectKind kind, const std::string& where, ByteView bytes,
                    const Writer& writer = {},
                    std::optional<uint64_t> durable_bytes = std::nullopt) {
        const ObjectHeader header{kind,   where,        "none", bytes.size(), content_hash(bytes),
                                  writer, durable_bytes};
        base->put_if_absent(kCluster + "/" + where, seal_object(header, bytes, 1));
    }
    /// Flips a bit in the middle of an object.
    void damage(const std::string& where) { damage(where, 0.5); }
    void damage(const std::string& where, double at) {
        const std::string name = kCluster + "/" + where;
        Bytes stored = base->get(name, 1 << 30).value();
        stored[static_cast<size_t>(static_cast<double>(stored.size()) * at)] ^= std::byte{4};
        base->remove(name);
        base->put_if_absent(name, stored);
    }

    std::shared_ptr<ObjectStore> base = make_memory_store();
    std::shared_ptr<StoreHooks> hooks = std::make_shared<StoreHooks>();
    std::unique_ptr<Repository> repository;
};

/// `bytes` up to `end`, and zeros.
inline Bytes cut_at(Bytes bytes, uint64_t end) {
    std::fill(bytes.begin() + static_cast<ptrdiff_t>(end), bytes.end(), std::byte{0});
    return bytes;
}

/// The code of the Error that `call` throws; nullopt when it throws none.
template <typename Call>
std::optional<ErrorCode> error_of(const Call& call) {
    try {
        call();
        return std::nullopt;
    } catch (const Error& error) {
        return error.code;
    }
}

/// Two timelines: 2 leaves 1 at `fork`, in segment 6. Timeline 1 goes on to the end of segment 7
/// with records that timeline 2 never saw.
struct ForkedWal {
    ForkedWal() : parent(5), child(5) {
        for (WalBuilder* builder : {&parent, &child}) {
            builder->fill_segment();
            while (builder->position() < 6 * WalBuilder::kSegmentSize + 100000) {
                builder->add_of_size(500);
            }
        }
        fork = parent.position();
        parent.add_commit(666, 666);
        parent.fill_segment();
        parent.fill_segment();
        child.set_timeline(2);
        child.add_commit(777, 777);
        child.fill_segment();
        child.fill_segment();
        history = "1\t" + to_text(fork) + "\tno recovery target specified\n";
    }
    /// What a server promoted at the fork leaves of the parent's last segment.
    Bytes partial() const {
        Bytes bytes = parent.segment(6);
        std::fill(bytes.begin() + static_cast<ptrdiff_t>(fork % WalBuilder::kSegmentSize),
                  bytes.end(), std::byte{0});
        return bytes;
    }
    WalBuilder parent;
    WalBuilder child;
    Lsn fork = 0;
    std::string history;
};

}  // namespace ark::test
