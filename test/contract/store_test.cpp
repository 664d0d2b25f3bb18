// What core/store/object_store.hpp promises, tried on every store. A store that deviates says so in
// its StoreCase; nothing is skipped silently.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/store/local.hpp"
#include "core/store/object_store.hpp"
#include "test/contract/past_store.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

struct StoreCase {
    const char* name;
    bool has_free_bytes;
    int page;  ///< names on a page of its listing; 0 where there are no pages
    std::function<std::unique_ptr<ObjectStore>(const std::string& directory)> make;
};

std::ostream& operator<<(std::ostream& out, const StoreCase& store) {
    return out << store.name;
}

class StoreContract : public testing::TestWithParam<StoreCase> {
 protected:
    static std::string text(const std::optional<Bytes>& content) {
        return content ? std::string(as_text(*content)) : "(absent)";
    }
    std::string get(const std::string& name) { return text(store->get(name, 1 << 20)); }
    PutResult put(const std::string& name, std::string_view content) {
        return store->put_if_absent(name, as_bytes(content));
    }
    std::vector<std::string> names(const std::string& prefix) {
        std::vector<std::string> out;
        store->list(prefix, [&](const ObjectInfo& info) {
            out.push_back(info.name);
            return true;
        });
        return out;
    }
    template <typename Function>
    static void expect_error(ErrorCode code, Function function) {
        try {
            function();
            ADD_FAILURE() << "no error";
        } catch (const Error& error) {
            EXPECT_EQ(error.code, code) << error.message;
        }
    }

    test::TemporaryDirectory directory;
    std::unique_ptr<ObjectStore> store = GetParam().make(directory.path());
};

using Names = std::vector<std::string>;

TEST_P(StoreContract, PutThenGet) {
    EXPECT_EQ(put("a/b/c", "content"), PutResult::created);
    EXPECT_EQ(get("a/b/c"), "content");
}

TEST_P(StoreContract, PutNeverOverwrites) {
    put("a", "first");
    EXPECT_EQ(put("a", "second"), PutResult::exists);
    EXPECT_EQ(get("a"), "first");
}

TEST_P(StoreContract, EmptyObjectIsAnObject) {
    EXPECT_EQ(put("d/empty", ""), PutResult::created);
    EXPECT_EQ(get("d/empty"), "");
    ASSERT_TRUE(store->head("d/empty"));
    EXPECT_EQ(store->head("d/empty")->size, 0U);
    EXPECT_EQ(put("d/empty", "x"), PutResult::exists);
}

TEST_P(StoreContract, BinaryContentSurvives) {
    Bytes all(256);
    for (size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<std::byte>(i);
    store->put_if_absent("bytes", all);
    EXPECT_EQ(store->get("bytes", 256), all);
}

TEST_P(StoreContract, AbsenceIsNotAnError) {
    EXPECT_EQ(store->get("no", 10), std::nullopt);
    EXPECT_EQ(store->get("no/such/thing", 10), std::nullopt);
    EXPECT_FALSE(store->head("no/such"));
    EXPECT_FALSE(store->remove("no/such"));
    EXPECT_EQ(names("no"), Names{});
    EXPECT_EQ(store->list_parts("no/such"), Names{});
}

TEST_P(StoreContract, APrefixIsNotAnObject) {
    put("a/b/c", "x");
    EXPECT_EQ(store->get("a/b", 10), std::nullopt);
    EXPECT_FALSE(store->head("a"));
    EXPECT_FALSE(store->remove("a/b"));
    EXPECT_EQ(get("a/b/c"), "x");
}

TEST_P(StoreContract, BelowAnObjectIsNothing) {
    put("a/b", "x");
    EXPECT_EQ(store->get("a/b/c", 10), std::nullopt);
    EXPECT_FALSE(store->head("a/b/c/d"));
    EXPECT_EQ(names("a/b"), Names{});
    EXPECT_EQ(store->list_parts("a/b"), Names{});
}

TEST_P(StoreContract, LimitOfGet) {
    put("five", "12345");
    EXPECT_EQ(text(store->get("five", 5)), "12345");
    expect_error(ErrorCode::corrupt, [&] { store->get("five", 4); });
}

TEST_P(StoreContract, Head) {
    put("d/five", "12345");
    const auto info = store->head("d/five");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->name, "d/five");
    EXPECT_EQ(info->size, 5U);
    EXPECT_LT(std::abs(info->modified - now_micros()), 3600LL * 1000000);
}

TEST_P(StoreContract, RangesOfAnObject) {
    put("o", "0123456789");
    const auto range = [&](uint64_t offset, size_t size) {
        Bytes buffer(size, std::byte{'?'});
        buffer.resize(store->get_range("o", offset, buffer));
        return std::string(as_text(buffer));
    };
    EXPECT_EQ(range(0, 10), "0123456789");
    EXPECT_EQ(range(3, 4), "3456");
    EXPECT_EQ(range(8, 5), "89");
    EXPECT_EQ(range(10, 1), "");
    EXPECT_EQ(range(99, 1), "");
    EXPECT_EQ(range(4, 0), "");
}

TEST_P(StoreContract, RangeOfAnAbsentObject) {
    Bytes buffer(1);
    expect_error(ErrorCode::not_found, [&] { store->get_range("d/no", 0, buffer); });
}

TEST_P(StoreContract, UploadAppearsAtFinish) {
    const auto upload = store->start_upload("d/pack");
    upload->write(as_bytes("one "));
    upload->write(as_bytes(""));
    upload->write(as_bytes("two"));
    EXPECT_EQ(get("d/pack"), "(absent)");
    EXPECT_EQ(names(""), Names{});
    EXPECT_EQ(store->list_parts(""), Names{});
    EXPECT_EQ(upload->finish(), PutResult::created);
    EXPECT_EQ(get("d/pack"), "one two");
    upload->cancel();
    EXPECT_EQ(get("d/pack"), "one two");
}

TEST_P(StoreContract, UploadCopiesWhatItIsGiven) {
    const auto upload = store->start_upload("pack");
    std::string buffer = "before";
    upload->write(as_bytes(buffer));
    std::fill(buffer.begin(), buffer.end(), '!');
    upload->finish();
    EXPECT_EQ(get("pack"), "before");
}

TEST_P(StoreContract, LargeUpload) {
    std::string piece(1 << 20, '\0');
    std::iota(piece.begin(), piece.end(), 0);
    const auto upload = store->start_upload("large");
    for (int i = 0; i < 20; ++i)
        upload->write(as_bytes(piece));
    EXPECT_EQ(upload->finish(), PutResult::created);
    ASSERT_EQ(store->head("large")->size, 20U << 20);
    Bytes back(piece.size());
    ASSERT_EQ(store->get_range("large", 19U << 20, back), back.size());
    EXPECT_EQ(as_text(back), piece);
}

// More than one request: what is on its way is no object.
TEST_P(StoreContract, ALargeUploadAppearsAtFinish) {
    const std::string piece(20 << 20, 'x');
    const auto upload = store->start_upload("d/pack");
    upload->write(as_bytes(piece));
    EXPECT_EQ(get("d/pack"), "(absent)");
    EXPECT_FALSE(store->head("d/pack"));
    EXPECT_EQ(names(""), Names{});
    EXPECT_EQ(store->list_parts(""), Names{});
    // A sweep of what is older spares it.
    EXPECT_EQ(store->remove_temporaries("", now_micros() - 3600LL * 1000000), 0U);
    EXPECT_EQ(upload->finish(), PutResult::created);
    EXPECT_EQ(store->head("d/pack")->size, piece.size());
}

TEST_P(StoreContract, WhatACancelledUploadLeavesIsSwept) {
    const UnixMicros later = now_micros() + 3600LL * 1000000;
    store->start_upload("d/pack")->write(as_bytes(std::string(20 << 20, 'x')));
    put("d/other", "whole");
    store->remove_temporaries("d", later);
    EXPECT_EQ(store->remove_temporaries("d", later), 0U) << "nothing was left";
    EXPECT_EQ(names(""), Names{"d/other"});
    EXPECT_EQ(put("d/pack", "again"), PutResult::created);
}

TEST_P(StoreContract, ASweepNeverTouchesAnObject) {
    put("d/empty", "");
    put("d/small", "x");
    EXPECT_EQ(store->remove_temporaries("", now_micros() + 3600LL * 1000000), 0U);
    EXPECT_EQ(get("d/empty"), "");
    EXPECT_EQ(get("d/small"), "x");
}

// An upload that ends on an error path must leave nothing that could be taken for whole.
TEST_P(StoreContract, DestructorCancels) {
    store->start_upload("d/pack")->write(as_bytes("half"));
    EXPECT_EQ(get("d/pack"), "(absent)");
    EXPECT_EQ(names(""), Names{});
    EXPECT_EQ(put("d/pack", "whole"), PutResult::created);
}

TEST_P(StoreContract, CancelEndsAnUpload) {
    const auto upload = store->start_upload("d/pack");
    upload->write(as_bytes("half"));
    upload->cancel();
    upload->cancel();
    expect_error(ErrorCode::internal, [&] { upload->write(as_bytes("more")); });
    expect_error(ErrorCode::internal, [&] { upload->finish(); });
    EXPECT_EQ(get("d/pack"), "(absent)");
}

TEST_P(StoreContract, FinishOnce) {
    const auto upload = store->start_upload("pack");
    upload->finish();
    expect_error(ErrorCode::internal, [&] { upload->finish(); });
}

TEST_P(StoreContract, UploadNeverOverwrites) {
    const auto late = store->start_upload("pack");
    late->write(as_bytes("late"));
    put("pack", "early");
    EXPECT_EQ(late->finish(), PutResult::exists);
    EXPECT_EQ(get("pack"), "early");
    const auto later = store->start_upload("pack");
    EXPECT_EQ(later->finish(), PutResult::exists);
    EXPECT_EQ(names(""), Names{"pack"});
}

TEST_P(StoreContract, ListInBytewiseOrder) {
    for (const char* name : {"a/b/c", "a-b", "a.b", "a/b.d", "a/b-e", "a0", "B", "a/b0", "_"}) {
        put(name, "x");
    }
    const Names all = names("");
    EXPECT_EQ(all, (Names{"B", "_", "a-b", "a.b", "a/b-e", "a/b.d", "a/b/c", "a/b0", "a0"}));
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
}

TEST_P(StoreContract, ListTakesWholeParts) {
    put("a/b/c", "x");
    put("a/bc", "x");
    put("a/b.x", "x");
    EXPECT_EQ(names("a/b"), Names{"a/b/c"});
    EXPECT_EQ(names("a"), (Names{"a/b.x", "a/b/c", "a/bc"}));
}

TEST_P(StoreContract, ListTellsSizes) {
    put("a/one", "1");
    put("a/three", "333");
    std::vector<uint64_t> sizes;
    store->list("a", [&](const ObjectInfo& info) {
        sizes.push_back(info.size);
        return true;
    });
    EXPECT_EQ(sizes, (std::vector<uint64_t>{1, 3}));
}

TEST_P(StoreContract, ListOfSeveralPages) {
    const int count = GetParam().page + 3;
    const auto for_each_name = [count](const std::function<void(const std::string&)>& task) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; ++i) {
            threads.emplace_back([&task, count, i] {
                for (int n = i; n < count; n += 8)
                    task("many/" + std::to_string(n));
            });
        }
        for (std::thread& thread : threads)
            thread.join();
    };
    for_each_name([&](const std::string& name) { put(name, "x"); });
    const Names all = names("many");
    EXPECT_EQ(all.size(), static_cast<size_t>(count));
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end()) << "none twice";
    EXPECT_EQ(store->list_parts("many").size(), static_cast<size_t>(count));
    // An emulator searches all of them for each request of the tests that follow.
    for_each_name([&](const std::string& name) { store->remove(name); });
}

TEST_P(StoreContract, ListStopsWhenTold) {
    for (const char* name : {"a/1", "a/2", "b/1", "b/2"})
        put(name, "x");
    Names seen;
    store->list("", [&](const ObjectInfo& info) {
        seen.push_back(info.name);
        return seen.size() < 3;
    });
    EXPECT_EQ(seen, (Names{"a/1", "a/2", "b/1"}));
}

TEST_P(StoreContract, VisitorMayUseTheStore) {
    put("a/1", "x");
    put("a/2", "x");
    store->list("a", [&](const ObjectInfo& info) { return store->remove(info.name); });
    EXPECT_EQ(names(""), Names{});
}

TEST_P(StoreContract, ListParts) {
    for (const char* name : {"w/2/a/b", "w/2/c", "w/10/x", "w/2.x", "w/2-x/y", "z"})
        put(name, "x");
    EXPECT_EQ(store->list_parts("w"), (Names{"10", "2", "2-x", "2.x"}));
    EXPECT_EQ(store->list_parts(""), (Names{"w", "z"}));
    EXPECT_EQ(store->list_parts("w/2"), (Names{"a", "c"}));
}

TEST_P(StoreContract, RemoveTellsWhetherItWasThere) {
    put("a/b/c", "x");
    put("a/d", "x");
    EXPECT_TRUE(store->remove("a/b/c"));
    EXPECT_FALSE(store->remove("a/b/c"));
    EXPECT_EQ(store->list_parts("a"), Names{"d"});
    EXPECT_EQ(put("a/b/c", "again"), PutResult::created);
    EXPECT_EQ(get("a/b/c"), "again");
}

TEST_P(StoreContract, NamesThatLeadAway) {
    for (const char* name : {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b",
                             "a b", "a\\b", "a/~b", "a/\xC3\xA9"}) {
        SCOPED_TRACE(name);
        Bytes buffer(1);
        const auto refused = [](auto function) {
            expect_error(ErrorCode::invalid_argument, function);
        };
        refused([&] { put(name, "x"); });
        refused([&] { store->start_upload(name); });
        refused([&] { store->get(name, 1); });
        refused([&] { store->get_range(name, 0, buffer); });
        refused([&] { store->head(name); });
        refused([&] { store->remove(name); });
        if (*name != '\0')
            refused([&] { names(name); });
        if (*name != '\0')
            refused([&] { store->list_parts(name); });
    }
    expect_error(ErrorCode::invalid_argument, [&] { put(std::string("a\0b", 3), "x"); });
}

TEST_P(StoreContract, OneOfManyRacersWins) {
    for (int round = 0; round < 20; ++round) {
        const std::string name = "race/" + std::to_string(round) + "/object";
        std::atomic<int> created = 0;
        std::atomic<int> winner = -1;
        std::vector<std::thread> racers;
        for (int i = 0; i < 8; ++i) {
            racers.emplace_back([&, i] {
                PutResult result = PutResult::exists;
                if (i % 2 == 0) {
                    result = put(name, "writer " + std::to_string(i));
                } else {
                    const auto upload = store->start_upload(name);
                    upload->write(as_bytes("writer " + std::to_string(i)));
                    result = upload->finish();
                }
                if (result != PutResult::created)
                    return;
                ++created;
                winner = i;
            });
        }
        for (std::thread& racer : racers)
            racer.join();
        EXPECT_EQ(created, 1);
        EXPECT_EQ(get(name), "writer " + std::to_string(winner));
    }
}

// Removing the last object below a prefix must not pull the ground from under another writer.
TEST_P(StoreContract, WritersAndRemoversTogether) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            const std::string name = "shared/deep/" + std::to_string(i);
            for (int round = 0; round < 200; ++round) {
                EXPECT_EQ(put(name, "x"), PutResult::created);
                EXPECT_TRUE(store->remove(name));
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(names(""), Names{});
}

TEST_P(StoreContract, FreeBytes) {
    const auto free = store->free_bytes();
    EXPECT_EQ(free.has_value(), GetParam().has_free_bytes);
    if (free) {
        EXPECT_GT(*free, 0U);
    }
}

// A place of its own for each test: the directory's name is that of nobody else.
std::unique_ptr<ObjectStore> open_below(const char* variable, const std::string& directory) {
    std::string url = std::getenv(variable);
    const std::string prefix = "/contract/" + directory.substr(directory.find_last_of('/') + 1);
    url.insert(std::min(url.find('?'), url.size()), prefix);
    return open_store(url, {.retry_timeout = 20});
}

// Servers are started by who runs the tests (scripts/check), and named in the environment; these
// have credentials there, too.
std::vector<StoreCase> store_cases() {
    std::vector<StoreCase> cases{
        {"memory", false, 0, [](const std::string&) { return make_memory_store(); }},
        {"local", true, 0, [](const std::string& root) { return make_local_store(root); }},
        {"local_named_temporaries", true, 0,
         [](const std::string& root) {
             return make_local_store(root, {.unnamed_temporaries = false});
         }},
        {"past", false, test::PastStore::kPage,
         [](const std::string&) { return std::make_unique<test::PastStore>(); }}};
    struct Server {
        const char* name;
        const char* variable;
        int page;
    };
    for (const Server& server : {Server{"s3", "PG_ARK_TEST_S3", 1000},
                                 {"s3_tls", "PG_ARK_TEST_S3_TLS", 0},
                                 {"azure", "PG_ARK_TEST_AZURE", 5000},
                                 {"azure_tls", "PG_ARK_TEST_AZURE_TLS", 0},
                                 {"gs", "PG_ARK_TEST_GS", 0},
                                 {"gs_tls", "PG_ARK_TEST_GS_TLS", 0},
                                 {"gs_hmac", "PG_ARK_TEST_GS_HMAC", 0}}) {
        if (std::getenv(server.variable) != nullptr) {
            cases.push_back({server.name, false, server.page,
                             [variable = server.variable](const std::string& directory) {
                                 return open_below(variable, directory);
                             }});
        }
    }
    return cases;
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, testing::ValuesIn(store_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace ark
