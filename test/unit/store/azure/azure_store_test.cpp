#include "core/store/azure/azure_store.hpp"

#include <cstdlib>
#include <mutex>
#include <string>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/scripted_server.hpp"

namespace ark {
namespace {

class AzureStoreTest : public testing::Test {
 protected:
    void SetUp() override {
        for (const char* name :
             {"AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING",
              "AZURE_STORAGE_SERVICE_ENDPOINT"})
            unsetenv(name);
        setenv("AZURE_STORAGE_KEY", "c2VjcmV0", 1);
        setenv("AZURE_CONFIG_DIR", "/nonexistent", 1);
    }
    // The first line of what a store asks when it looks for an object "a/b".
    std::string line_of(const std::string& url) {
        make_azure_store(url, {})->head("a/b");
        const std::lock_guard lock(mutex);
        return asked.substr(0, asked.find(" HTTP/"));
    }

    std::mutex mutex;
    std::string asked;
    test::ScriptedServer server{[this](const test::ScriptedServer::Connection& client) {
        const std::string request = client.read_request();
        {
            const std::lock_guard lock(mutex);
            asked = request;
        }
        client.send("HTTP/1.1 404 x\r\nx-ms-error-code: BlobNotFound\r\n\r\n");
    }};
};

TEST_F(AzureStoreTest, WhereABlobIs) {
    const std::string endpoint = server.origin();
    EXPECT_EQ(line_of("azure://container/p?account=name&endpoint=" + endpoint),
              "HEAD /name/container/p/a/b");
    EXPECT_EQ(line_of("azure://container/p?account=name&endpoint=" + endpoint + "/other/"),
              "HEAD /other/container/p/a/b");
    EXPECT_EQ(line_of("azure://container?endpoint=" + endpoint + "/name"),
              "HEAD /name/container/a/b");
    EXPECT_TRUE(test::mentions(asked, "authorization: SharedKey name:"));
    setenv("AZURE_STORAGE_CONNECTION_STRING",
           ("AccountName=conn;AccountKey=c2VjcmV0;BlobEndpoint=" + endpoint + "/conn").c_str(), 1);
    EXPECT_EQ(line_of("azure://container"), "HEAD /conn/container/a/b");
}

TEST_F(AzureStoreTest, UrlsItCannotRead) {
    for (const char* url :
         {"azure://container", "azure://?account=a", "azure://c?account=A", "azure://c?account=a/b",
          "azure://c?account=a&tier=archive", "azure://c?account=a&endpoint=host",
          "azure://c?account=a&endpoint=ftp://host", "azure://c?account=a&endpoint=http://h/a?b",
          "azure://c?endpoint=http://127.0.0.1:1", "azure://c?account=a&account_key=hunter2",
          "azure://c?account=a&create_if_absent=maybe", "azure://user:hunter2@c?account=a"}) {
        const Error error = test::expect_error(
            ErrorCode::invalid_argument, [&] { return make_azure_store(url, {}); }, url);
        EXPECT_FALSE(test::mentions(error.message + error.detail + error.hint, "hunter2"));
    }
    EXPECT_NO_THROW(make_azure_store("azure://c?account=a&tier=Cold", {}));
}

}  // namespace
}  // namespace ark
