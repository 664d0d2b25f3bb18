#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "core/archive/tail.hpp"
#include "core/stream/tail_writer.hpp"
#include "test/support/store_decorator.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark::test {

/// Told from any thread, waited for by one.
class Bell {
 public:
    void ring() {
        {
            const std::lock_guard lock(mutex_);
            ++rings_;
        }
        rung_.notify_all();
    }
    /// Calls `done` at the begin and after each ring until it says true; at most 10 s.
    bool wait(const std::function<bool()>& done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        for (;;) {
            uint64_t seen = 0;
            {
                const std::lock_guard lock(mutex_);
                seen = rings_;
            }
            if (done())
                return true;
            std::unique_lock lock(mutex_);
            if (!rung_.wait_until(lock, deadline, [&] { return rings_ != seen; }))
                return false;
        }
    }

 private:
    std::mutex mutex_;
    std::condition_variable rung_;
    uint64_t rings_ = 0;
};

/// Keeps calls of a store waiting until they are let go.
class Gate {
 public:
    void hold(const std::string& name) {
        const std::lock_guard lock(mutex_);
        held_.insert(name);
    }
    void let_go(const std::string& name) {
        {
            const std::lock_guard lock(mutex_);
            held_.erase(name);
        }
        changed_.notify_all();
    }
    void pass(const std::string& name) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !held_.contains(name); });
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::string> held_;
};

/// A repository whose store a test steps into, and WAL of two whole segments and a half.
class StreamFixture : public ::testing::Test {
 protected:
    static constexpr uint64_t kSize = WalBuilder::kSegmentSize;
    static constexpr Lsn kBegin = 5 * kSize;

    StreamFixture() {
        wal.fill_segment();
        wal.fill_segment();
        wal.fill_segment_but(kSize / 2);
        for (const uint64_t number : {5, 6, 7}) {
            const Bytes segment = wal.segment(number);
            bytes.insert(bytes.end(), segment.begin(), segment.end());
        }
        repository = Repository::open(
            std::make_unique<StoreDecorator>(
                base,
                [this](const std::string& call, const std::string& name) { hook(call, name); }),
            OpenMode::create);
    }

    void hook(const std::string& call, const std::string& name) {
        if (call == "put") {
            gate.pass(name);
            const std::lock_guard lock(mutex);
            ++puts;
        }
        Hook also;
        {
            const std::lock_guard lock(mutex);
            also = also_;
        }
        if (also)
            also(call, name);
    }
    using Hook = std::function<void(const std::string& call, const std::string& name)>;
    void at_each_call(Hook also) {
        const std::lock_guard lock(mutex);
        also_ = std::move(also);
    }
    int puts_so_far() {
        const std::lock_guard lock(mutex);
        return puts;
    }

    PushTarget target(const std::string& host = "one") {
        return {repository->store(),       kCluster, WalBuilder::kSystemIdentifier, kSize, 1,
                {host, "boot", "/data", 0}};
    }
    FetchContext context() { return {*repository, kCluster}; }
    static std::string piece(uint64_t number, uint32_t from) {
        return kCluster + "/" + place::tail(WalBuilder::name(number), from);
    }
    ByteView slice(Lsn from, Lsn to) const {
        return ByteView(bytes).subspan(from - kBegin, to - from);
    }
    void put_piece(uint64_t number, uint32_t from, ByteView content,
                   const std::string& host = "one") {
        store_object(*base, kCluster, ObjectKind::tail, place::tail(WalBuilder::name(number), from),
                     content, {host, "boot", "/d", 0}, 1);
    }
    void put_whole(uint64_t number) {
        store_object(*base, kCluster, ObjectKind::wal, place::segment(WalBuilder::name(number)),
                     wal.segment(number), {"archiver", "boot", "/d", 0}, 1);
    }
    /// What a reader gets of the segment's pieces.
    Bytes chain(uint64_t number) {
        const auto chain = read_tail(context(), WalBuilder::name(number));
        return chain ? chain->bytes : Bytes();
    }

    std::shared_ptr<ObjectStore> base = make_memory_store();
    Gate gate;
    std::mutex mutex;
    int puts = 0;
    Hook also_;
    std::unique_ptr<Repository> repository;
    WalBuilder wal{5};
    Bytes bytes;  ///< segments 5, 6 and 7
    Bell bell;
};

}  // namespace ark::test
