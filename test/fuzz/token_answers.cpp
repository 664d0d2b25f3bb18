#include "core/store/cloud/bearer_token.hpp"
#include "core/store/gs/google_tokens.hpp"
#include "core/store/s3/credential_answers.hpp"
#include "test/fuzz/cloud_answers.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of(
        {"200\n\n{\"access_token\": \"t\", \"expires_in\": 3600, \"expires_on\": \"1795140900\"}",
         "400\n\n{\"error\": \"invalid_grant\", \"error_description\": \"no\"}",
         "200\n\n{\"accessToken\": \"t\", \"expireTime\": \"2026-11-20T02:15:00Z\"}",
         "403\n\n{\"error\": {\"status\": \"PERMISSION_DENIED\", \"message\": \"no\"}}",
         "200\n\n{\"Version\": 1, \"AccessKeyId\": \"a\", \"SecretAccessKey\": \"s\", "
         "\"Token\": \"t\", \"SessionToken\": \"t\", \"Expiration\": \"2026-11-20T02:15:00Z\"}",
         "200\n\n<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId>"
         "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>"
         "2026-11-20T02:15:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
         "403\n\n<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
         "</ErrorResponse>"});
}

void run(ByteView input) {
    const HttpResponse response = parse_answer(std::string(as_text(input)));
    answers([&] {
        const BearerToken token = parse_token_answer(response, "x");
        require(!token.token.empty(), "a token is not empty");
    });
    answers([&] { return parse_impersonation_answer(response); });
    answers([&] { return credentials_in_json(response, "x"); });
    answers([&] { return credentials_in_xml(response, "AssumeRole"); });
    answers([&] { return credentials_of_process(std::string(as_text(response.body)), "x"); });
}

const Target target("token_answers", seeds, run);

}  // namespace
}  // namespace ark::fuzz
