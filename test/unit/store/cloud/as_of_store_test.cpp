#include "core/store/cloud/as_of_store.hpp"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/http/failure.hpp"
#include "core/store/cloud/versions_at.hpp"
#include "core/store/s3/s3_versions.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/versioned_bucket.hpp"

namespace ark {
namespace {

constexpr UnixMicros kSecond = 1000000;
constexpr UnixMicros kMoment = 1000 * kSecond;

std::unique_ptr<ObjectStore> view(const std::shared_ptr<test::VersionedBucket>& bucket,
                                  UnixMicros moment = kMoment, const std::string& prefix = "p") {
    CloudParts parts;
    parts.url.text = "s3://bucket/" + prefix;
    parts.url.scheme = "s3";
    parts.url.bucket = "bucket";
    parts.url.prefix = prefix;
    parts.transport = bucket;
    parts.traffic = [] { return StoreTraffic{}; };
    parts.clock_skew = [] { return int64_t{0}; };
    return make_as_of_store(
        std::move(parts),
        std::make_unique<S3Versions>(S3Options{"http://s3.test", "/", true, {}, {}}), moment);
}

struct AsOfStoreTest : public testing::Test {
    void put(const std::string& key, const std::string& content, UnixMicros at) {
        bucket->put(key, as_bytes(content), at);
    }
    std::string get(const std::string& name) {
        const auto content = store->get(name, 1000);
        return content ? std::string(as_text(*content)) : "(absent)";
    }
    std::vector<std::string> names(const std::string& prefix) {
        std::vector<std::string> out;
        store->list(prefix, [&](const ObjectInfo& object) {
            out.push_back(object.name + "=" + std::to_string(object.size));
            return true;
        });
        return out;
    }

    std::shared_ptr<test::VersionedBucket> bucket = std::make_shared<test::VersionedBucket>(3);
    std::unique_ptr<ObjectStore> store = view(bucket);
};

using Names = std::vector<std::string>;

TEST_F(AsOfStoreTest, WhatTheNewestVersionWasThen) {
    put("p/kept", "kept", kMoment - 9 * kSecond);
    put("p/overwritten", "good", kMoment - 9 * kSecond);
    put("p/overwritten", "rubbish", kMoment + kSecond);
    put("p/deleted", "good", kMoment - 9 * kSecond);
    bucket->remove("p/deleted", kMoment + kSecond);
    put("p/deleted-before", "old", kMoment - 9 * kSecond);
    bucket->remove("p/deleted-before", kMoment - 5 * kSecond);
    put("p/deleted-before", "back", kMoment + kSecond);
    put("p/later", "new", kMoment + kSecond);
    put("p/twice", "first", kMoment - 9 * kSecond);
    put("p/twice", "second", kMoment - 5 * kSecond);
    put("p/back", "first", kMoment - 9 * kSecond);
    bucket->remove("p/back", kMoment - 7 * kSecond);
    put("p/back", "again", kMoment - 5 * kSecond);
    bucket->remove("p/back", kMoment + kSecond);
    for (int round = 0; round < 2; ++round) {  // by one key, and by the whole directory
        EXPECT_EQ(get("kept"), "kept");
        EXPECT_EQ(get("overwritten"), "good");
        EXPECT_EQ(get("deleted"), "good");
        EXPECT_EQ(get("deleted-before"), "(absent)");
        EXPECT_EQ(get("later"), "(absent)");
        EXPECT_EQ(get("twice"), "second");
        EXPECT_EQ(get("back"), "again");
        EXPECT_EQ(get("never"), "(absent)");
    }
    for (const char* name : {"kept", "overwritten", "deleted", "twice", "back"}) {
        store = view(bucket);
        EXPECT_EQ(get(name), name == std::string("kept")    ? "kept"
                             : name == std::string("twice") ? "second"
                             : name == std::string("back")  ? "again"
                                                            : "good");
    }
    EXPECT_EQ(names(""), (Names{"back=5", "deleted=4", "kept=4", "overwritten=4", "twice=6"}));
    EXPECT_EQ(store->head("overwritten")->modified, kMoment - 9 * kSecond);
    EXPECT_EQ(store->as_of(), kMoment);
}

// The moment itself counts; of two versions of one time the one that the store lists first.
TEST_F(AsOfStoreTest, TheMomentItself) {
    put("p/then", "then", kMoment);
    put("p/behind", "behind", kMoment + 1);
    put("p/both", "first", kMoment);
    put("p/both", "second", kMoment);
    put("p/gone", "first", kMoment);
    bucket->remove("p/gone", kMoment);
    EXPECT_EQ(get("then"), "then");
    EXPECT_EQ(get("behind"), "(absent)");
    EXPECT_EQ(get("both"), "second");
    EXPECT_EQ(get("gone"), "(absent)");
}

// A directory that somebody made later is none, and one whose objects were all deleted later is.
TEST_F(AsOfStoreTest, Directories) {
    for (int i = 0; i < 9; ++i) {
        put("p/a/" + std::to_string(i), "x", kMoment - kSecond);
        put("p/new/" + std::to_string(i), "x", kMoment + kSecond);
        put("p/gone/deep/" + std::to_string(i), "x", kMoment - kSecond);
        bucket->remove("p/gone/deep/" + std::to_string(i), kMoment + kSecond);
        put("p/old/" + std::to_string(i), "x", kMoment - 2 * kSecond);
        bucket->remove("p/old/" + std::to_string(i), kMoment - kSecond);
    }
    put("p/a0", "x", kMoment);
    put("p/a-b", "x", kMoment);
    put("p/late", "x", kMoment - kSecond);
    put("p/late/deep", "x", kMoment - kSecond);
    EXPECT_EQ(store->list_parts(""), (Names{"a", "a-b", "a0", "gone", "late"}));
    EXPECT_EQ(store->list_parts("gone"), Names{"deep"});
    EXPECT_EQ(store->list_parts("old"), Names{});
    EXPECT_EQ(names("new"), Names{});
    EXPECT_EQ(names("a").size(), 9U);
}

// A listing of directories does not walk through what is in them.
TEST_F(AsOfStoreTest, DirectoriesAreSkippedOnceTheyAreKnown) {
    for (int i = 0; i < 300; ++i)
        put("p/a/" + std::to_string(i), "x", kMoment - kSecond);
    put("p/b", "x", kMoment - kSecond);
    EXPECT_EQ(store->list_parts(""), (Names{"a", "b"}));
    EXPECT_LE(bucket->requests["versions"], 3);
}

// Many objects of a directory cost as many listings as it has pages, and one GET each.
TEST_F(AsOfStoreTest, ManyObjectsCostFewListings) {
    bucket = std::make_shared<test::VersionedBucket>(1000);
    store = view(bucket);
    for (int i = 0; i < 1500; ++i)
        put("p/data/" + std::to_string(i), std::to_string(i), kMoment - kSecond);
    put("p/data/deep/x", "x", kMoment - kSecond);
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = t; i < 1500; i += 4)
                EXPECT_EQ(get("data/" + std::to_string(i)), std::to_string(i));
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(get("data/none"), "(absent)");
    EXPECT_EQ(get("data/deep/x"), "x");
    EXPECT_EQ(bucket->requests["versionId"], 1501);
    EXPECT_LE(bucket->requests["versions"], 2 + 2 + 1);
    EXPECT_EQ(bucket->requests["versioning"], 1);
}

TEST_F(AsOfStoreTest, OneObjectCostsAListingOfItsKeyAlone) {
    put("p/a", "x", kMoment);
    put("p/a/b", "y", kMoment);
    put("p/ab", "z", kMoment);
    EXPECT_EQ(get("a"), "x");
    EXPECT_EQ(get("a"), "x");
    EXPECT_EQ(bucket->listed, Names{"p/a"});
    EXPECT_EQ(get("a/b"), "y");
}

TEST_F(AsOfStoreTest, NothingIsChanged) {
    put("p/a", "x", kMoment);
    const auto refused = [](const auto& function) {
        test::expect_error(ErrorCode::refused, function);
    };
    refused([&] { store->put_if_absent("b", {}); });
    refused([&] { store->start_upload("b"); });
    refused([&] { store->remove("a"); });
    refused([&] { store->remove_temporaries("", kMoment); });
    EXPECT_EQ(bucket->requests.size(), 0U) << "nothing was even asked";
}

// An object that was there is never "not there", whatever became of its version.
TEST_F(AsOfStoreTest, AVersionThatWasRemovedMeanwhileIsNoAbsence) {
    put("p/a", "x", kMoment);
    EXPECT_EQ(get("a"), "x");
    bucket->lose_newest("p/a");
    Bytes buffer(1);
    test::expect_error(ErrorCode::io_error, [&] { get("a"); });
    test::expect_error(ErrorCode::io_error, [&] { store->get_range("a", 0, buffer); });
}

TEST_F(AsOfStoreTest, ABucketWithoutVersionsHasNoPast) {
    bucket->state = "";
    put("p/a", "x", kMoment);
    test::expect_error(ErrorCode::refused, [&] { get("a"); });
    test::expect_error(ErrorCode::refused, [&] { store->head("a"); });
    test::expect_error(ErrorCode::refused, [&] { names(""); });
    test::expect_error(ErrorCode::refused, [&] { store->list_parts(""); });
}

TEST_F(AsOfStoreTest, WhatLiesBesideTheRepository) {
    put("p/a", "x", kMoment);
    put("p/dir/", "", kMoment);
    put("p/with blank", "x", kMoment);
    put("pp/b", "x", kMoment);
    put("q", "x", kMoment);
    EXPECT_EQ(names(""), Names{"a=1"});
    EXPECT_EQ(store->list_parts(""), (Names{"a", "dir"}));
    store = view(bucket, kMoment, "");
    EXPECT_EQ(names("pp"), Names{"pp/b=1"});
    EXPECT_EQ(get("q"), "x");
}

// A listing that is not what was asked for hides objects: it is no answer.
TEST(VersionsOfAListing, ThatIsNotInOrderIsNone) {
    class Disorder : public HttpTransport {
     public:
        HttpResponse perform(const HttpRequest& request) override {
            const bool state = request.query.front().first == "versioning";
            const std::string text =
                state
                    ? "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
                    : "<ListVersionsResult>" + entries + "</ListVersionsResult>";
            HttpResponse out;
            out.status = 200;
            out.body.assign(as_bytes(text).begin(), as_bytes(text).end());
            return out;
        }
        static std::string entry(const std::string& key) {
            return "<Version><Key>" + key +
                   "</Key><VersionId>v</VersionId><LastModified>1970-01-01T00:00:01Z"
                   "</LastModified><Size>1</Size></Version>";
        }
        std::string entries;
    };
    Disorder transport;
    S3Versions api({"http://s3.test", "/", true, {}, {}});
    const auto listed = [&](const std::string& entries) {
        transport.entries = entries;
        VersionsAt at(api, transport, kMoment, "bucket");
        int n = 0;
        at.visit("p/", [&](const BlobVersion&) {
            ++n;
            return VersionsAt::GoOn{};
        });
        return n;
    };
    EXPECT_EQ(listed(Disorder::entry("p/a") + Disorder::entry("p/b")), 2);
    EXPECT_THROW(listed(Disorder::entry("p/b") + Disorder::entry("p/a")), HttpFailure);
    EXPECT_THROW(listed(Disorder::entry("q/a")), HttpFailure);
    const std::string more =
        "<IsTruncated>true</IsTruncated><NextKeyMarker>p/a</NextKeyMarker>"
        "<NextVersionIdMarker>v</NextVersionIdMarker>";
    EXPECT_THROW(listed(more + Disorder::entry("p/a")), HttpFailure) << "it does not go on";
}

}  // namespace
}  // namespace ark
