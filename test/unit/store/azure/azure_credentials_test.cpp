#include "core/store/azure/azure_credentials.hpp"

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string>

#include <gtest/gtest.h>

#include "core/store/azure/azure_config.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/scripted_server.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

// A token service of any kind: one answer for all, and what it was asked.
class TokenServer {
 public:
    explicit TokenServer(std::string answer, const char* status = "200 OK")
        : answer_("HTTP/1.1 " + std::string(status) +
                  "\r\nContent-Length: " + std::to_string(answer.size()) + "\r\n\r\n" + answer) {}
    std::string origin() const { return server_.origin(); }
    std::string asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }

 private:
    const std::string answer_;
    mutable std::mutex mutex_;
    std::string asked_;
    test::ScriptedServer server_{[this](const test::ScriptedServer::Connection& client) {
        const std::string request = client.read_request();
        {
            const std::lock_guard lock(mutex_);
            asked_ = request;
        }
        client.send(answer_);
    }};
};

constexpr const char* kToken = R"({"token_type":"Bearer","expires_in":3599,"access_token":"abc"})";

class AzureCredentialsTest : public testing::Test {
 protected:
    void SetUp() override {
        for (const char* name :
             {"AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN",
              "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SERVICE_ENDPOINT",
              "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
              "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT",
              "IDENTITY_HEADER"})
            unsetenv(name);
        setenv("AZURE_CONFIG_DIR", directory.path().c_str(), 1);
        // Nobody listens there.
        setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1", 1);
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(directory / name) << text;
    }
    static std::string key_text(const AzureCredentials& credentials) {
        return std::string(as_text(credentials.key));
    }

    test::TemporaryDirectory directory;
    AzureCredentialOptions options{"account", {}, {}, {}};
};

TEST_F(AzureCredentialsTest, AKeyComesBeforeASignature) {
    setenv("AZURE_STORAGE_SAS_TOKEN", "?sv=2021-12-02&sig=a%2Bb%3D", 1);
    const AzureCredentials sas = find_azure_credentials(options);
    ASSERT_EQ(sas.sas.size(), 2U);
    EXPECT_EQ(sas.sas[1].first, "sig");
    EXPECT_EQ(sas.sas[1].second, "a+b=");
    setenv("AZURE_STORAGE_KEY", "c2VjcmV0", 1);
    EXPECT_EQ(key_text(find_azure_credentials(options)), "secret");
    setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=account;AccountKey=b3RoZXI=", 1);
    EXPECT_EQ(key_text(find_azure_credentials(options)), "other");
}

TEST_F(AzureCredentialsTest, FilesOfTheAzureTools) {
    write("config", "[core]\noutput = table\n[storage]\naccount = account\nkey = c2VjcmV0\n");
    EXPECT_EQ(key_text(find_azure_credentials(options)), "secret");
    EXPECT_EQ(read_azure_config("").account, "account");
    write("mine", "[storage]\nsas_token = sig=x\n");
    options.credentials_file = directory / "mine";
    setenv("AZURE_STORAGE_KEY", "b3RoZXI=", 1);
    EXPECT_EQ(find_azure_credentials(options).sas.size(), 1U)
        << "what the URL names comes before the environment";
    options.credentials_file.clear();
    EXPECT_EQ(key_text(find_azure_credentials(options)), "other");
    options.credentials_file = directory / "nowhere";
    const Error error = test::expect_error(ErrorCode::permission_denied,
                                           [&] { return find_azure_credentials(options); });
    EXPECT_TRUE(test::mentions(error.message, "nowhere"));
}

TEST_F(AzureCredentialsTest, ConnectionStrings) {
    const AzureConfig full = parse_connection_string(
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k==;"
        "EndpointSuffix=core.chinacloudapi.cn;");
    EXPECT_EQ(full.account, "a");
    EXPECT_EQ(full.key, "k==");
    EXPECT_EQ(full.endpoint, "https://a.blob.core.chinacloudapi.cn");
    const AzureConfig sas =
        parse_connection_string("BlobEndpoint=https://h:1/a;SharedAccessSignature=?sv=1&sig=x%3D");
    EXPECT_EQ(sas.endpoint, "https://h:1/a");
    EXPECT_EQ(sas.sas, "sv=1&sig=x%3D");
    EXPECT_EQ(parse_connection_string("UseDevelopmentStorage=true").account, "devstoreaccount1");
    const Error error = test::expect_error(ErrorCode::invalid_argument,
                                           [] { return parse_connection_string("hunter2"); });
    EXPECT_FALSE(test::mentions(error.message + error.detail, "hunter2"));
    setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=c2VjcmV0", 1);
    test::expect_error(ErrorCode::invalid_argument,
                       [&] { return find_azure_credentials(options); });
}

TEST_F(AzureCredentialsTest, AKeyThatIsNoneIsNotRepeated) {
    setenv("AZURE_STORAGE_KEY", "hunter2!", 1);
    const Error error = test::expect_error(ErrorCode::permission_denied,
                                           [&] { return find_azure_credentials(options); });
    EXPECT_FALSE(test::mentions(error.message + error.detail, "hunter2"));
}

TEST_F(AzureCredentialsTest, ServicePrincipal) {
    const TokenServer server(kToken);
    setenv("AZURE_AUTHORITY_HOST", (server.origin() + "/").c_str(), 1);
    setenv("AZURE_TENANT_ID", "tenant", 1);
    setenv("AZURE_CLIENT_ID", "client", 1);
    setenv("AZURE_CLIENT_SECRET", "a secret", 1);
    const AzureCredentials found = find_azure_credentials(options);
    EXPECT_EQ(found.token, "abc");
    EXPECT_NEAR(static_cast<double>(*found.expires - time(nullptr)), 3599, 5);
    EXPECT_TRUE(server.asked().starts_with("POST /tenant/oauth2/v2.0/token HTTP/1.1\r\n"));
    EXPECT_TRUE(server.asked().ends_with(
        "\r\n\r\nclient_secret=a%20secret&client_id=client&"
        "scope=https%3A%2F%2Fstorage.azure.com%2F.default&grant_type=client_credentials"));
}

TEST_F(AzureCredentialsTest, ASecretGoesNowhereInClearText) {
    setenv("AZURE_AUTHORITY_HOST", "http://login.example.test", 1);
    setenv("AZURE_TENANT_ID", "tenant", 1);
    setenv("AZURE_CLIENT_ID", "client", 1);
    setenv("AZURE_CLIENT_SECRET", "a secret", 1);
    const Error error = test::expect_error(ErrorCode::invalid_argument,
                                           [&] { return find_azure_credentials(options); });
    EXPECT_TRUE(test::mentions(error.message, "clear text"));
}

TEST_F(AzureCredentialsTest, WorkloadIdentity) {
    const TokenServer server(kToken);
    write("token", "header.payload.signature\n");
    setenv("AZURE_AUTHORITY_HOST", server.origin().c_str(), 1);
    setenv("AZURE_TENANT_ID", "tenant", 1);
    setenv("AZURE_CLIENT_ID", "client", 1);
    setenv("AZURE_FEDERATED_TOKEN_FILE", (directory / "token").c_str(), 1);
    EXPECT_EQ(find_azure_credentials(options).token, "abc");
    EXPECT_TRUE(test::mentions(
        server.asked(),
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        "&client_assertion=header.payload.signature&client_id=client"));
}

TEST_F(AzureCredentialsTest, ManagedIdentityOfAMachine) {
    const TokenServer server(R"({"access_token":"abc","expires_in":"86399","resource":"x"})");
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.origin().c_str(), 1);
    EXPECT_EQ(find_azure_credentials(options).token, "abc");
    EXPECT_TRUE(
        server.asked().starts_with("GET /metadata/identity/oauth2/token?api-version=2018-02-01&"
                                   "resource=https%3A%2F%2Fstorage.azure.com%2F HTTP/1.1\r\n"));
    EXPECT_TRUE(test::mentions(server.asked(), "\r\nmetadata: true\r\n"));
    options.client_id = "mine";
    find_azure_credentials(options);
    EXPECT_TRUE(test::mentions(server.asked(), "&client_id=mine HTTP/1.1"));
}

TEST_F(AzureCredentialsTest, ManagedIdentityOfAnApp) {
    const TokenServer server(R"({"access_token":"abc","expires_on":"4102444800"})");
    setenv("IDENTITY_ENDPOINT", (server.origin() + "/msi/token").c_str(), 1);
    setenv("IDENTITY_HEADER", "header", 1);
    const AzureCredentials found = find_azure_credentials(options);
    EXPECT_EQ(found.token, "abc");
    EXPECT_EQ(found.expires, 4102444800);
    EXPECT_TRUE(server.asked().starts_with("GET /msi/token?api-version=2019-08-01&resource="));
    EXPECT_TRUE(test::mentions(server.asked(), "\r\nx-identity-header: header\r\n"));
}

TEST_F(AzureCredentialsTest, ARefusalIsToldInTheServicesWordsAndWithoutTheSecret) {
    const TokenServer server(
        R"({"error":"invalid_client","error_description":"AADSTS7000215: Invalid secret."})",
        "401 Unauthorized");
    setenv("AZURE_AUTHORITY_HOST", server.origin().c_str(), 1);
    setenv("AZURE_TENANT_ID", "tenant", 1);
    setenv("AZURE_CLIENT_ID", "client", 1);
    setenv("AZURE_CLIENT_SECRET", "hunter2", 1);
    const Error error = test::expect_error(ErrorCode::permission_denied,
                                           [&] { return find_azure_credentials(options); });
    EXPECT_TRUE(test::mentions(error.detail, "AADSTS7000215"));
    EXPECT_FALSE(test::mentions(error.message + error.detail + error.hint, "hunter2"));
}

TEST_F(AzureCredentialsTest, NothingFoundSaysWhereItLooked) {
    const TokenServer server(
        R"({"error":"invalid_request","error_description":"Identity not found"})",
        "400 Bad Request");
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.origin().c_str(), 1);
    const Error error = test::expect_error(ErrorCode::permission_denied,
                                           [&] { return find_azure_credentials(options); });
    EXPECT_TRUE(test::mentions(error.detail, "AZURE_STORAGE_KEY"));
    EXPECT_TRUE(test::mentions(error.detail, "Identity not found"));
    EXPECT_TRUE(test::mentions(error.hint, "credentials_file="));
}

}  // namespace
}  // namespace ark
