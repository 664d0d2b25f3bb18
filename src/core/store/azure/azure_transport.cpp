#include "core/store/azure/azure_transport.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

#include "core/http/body_check.hpp"
#include "core/store/azure/shared_key.hpp"
#include "core/store/cloud/answer.hpp"

namespace ark {

namespace {

// The oldest version that has everything that is asked here, so that private clouds have it too.
constexpr const char* kVersion = "2021-12-02";
// Azure takes a request's time that is a quarter of an hour off.
constexpr int64_t kClockTolerance = 600;

struct CodeRule {
    std::string_view code;
    Failure failure;
};

// Microsoft, "Common REST API error codes", "Blob Storage error codes". What is not here is classed
// by its status.
constexpr std::array<CodeRule, 33> kCodes{{
    {"AuthenticationFailed", Failure::expired_credentials},
    {"InvalidAuthenticationInfo", Failure::expired_credentials},
    {"NoAuthenticationInformation", Failure::access_denied},
    {"AuthorizationFailure", Failure::access_denied},
    {"AuthorizationPermissionMismatch", Failure::access_denied},
    {"InsufficientAccountPermissions", Failure::access_denied},
    {"KeyBasedAuthenticationNotPermitted", Failure::access_denied},
    {"PublicAccessNotPermitted", Failure::access_denied},
    {"AccountIsDisabled", Failure::access_denied},
    {"ContainerDisabled", Failure::access_denied},
    {"BlobImmutableDueToPolicy", Failure::access_denied},
    {"AccountBeingCreated", Failure::conflict_in_progress},
    {"ContainerBeingDeleted", Failure::no_such_bucket},
    {"ContainerNotFound", Failure::no_such_bucket},
    {"ResourceNotFound", Failure::no_such_bucket},
    {"ServerBusy", Failure::throttled},
    {"OperationTimedOut", Failure::timeout},
    {"InternalError", Failure::server_error},
    {"Md5Mismatch", Failure::checksum_mismatch},
    {"InvalidMd5", Failure::checksum_mismatch},
    {"Crc64Mismatch", Failure::checksum_mismatch},
    {"UnsupportedHttpVerb", Failure::not_implemented},
    {"FeatureVersionMismatch", Failure::not_implemented},
    {"LeaseIdMissing", Failure::rejected},
    {"LeaseAlreadyPresent", Failure::rejected},
    {"BlobArchived", Failure::rejected},
    {"BlobBeingRehydrated", Failure::rejected},
    {"BlobAlreadyExists", Failure::rejected},
    {"InvalidBlobType", Failure::rejected},
    {"InvalidOperation", Failure::rejected},
    {"PendingCopyOperation", Failure::rejected},
    {"SnapshotsPresent", Failure::rejected},
    {"SystemInUse", Failure::rejected},
}};

// The code also stands in a header, and so in an answer to HEAD. A message goes on with an id and
// a time in lines of their own, and what follows it may repeat what was signed.
XmlError error_of(const HttpResponse& response) {
    if (response.ok())
        return {};
    XmlError error = parse_xml_error(response);
    error.code = response.header_or("x-ms-error-code", error.code);
    error.message = error.message.substr(0, error.message.find_first_of("\r\n"));
    return error;
}

bool is_absence(const HttpResponse& response, const XmlError& error) {
    return response.status == 404 && error.code == "BlobNotFound";
}

// That a blob is there is said in more than one way; it is none of them when nobody asked.
bool says_that_it_exists(const HttpRequest& request, const XmlError& error) {
    constexpr std::array<std::string_view, 4> kExists{"BlobAlreadyExists", "ConditionNotMet",
                                                      "UnauthorizedBlobOverwrite",
                                                      "BlobImmutableDueToPolicy"};
    return request.method == "PUT" && request.header("if-none-match") != nullptr &&
           std::ranges::find(kExists, error.code) != kExists.end();
}

// Its blocks are gone: committed by an earlier try, or by another writer of the name.
bool is_lost_upload(const HttpRequest& request, const XmlError& error) {
    return request.method == "PUT" && error.code == "InvalidBlockList";
}

bool is_another_version(const HttpRequest& request, const HttpResponse& response,
                        const XmlError& error) {
    return request.method == "DELETE" && request.header("if-match") != nullptr &&
           response.status == 412 && error.code == "ConditionNotMet";
}

bool is_answer(const HttpRequest& request, const HttpResponse& response, const XmlError& error) {
    return response.ok() || is_absence(response, error) ||
           (answers_range(request, response.status) && error.code == "InvalidRange") ||
           says_that_it_exists(request, error) || is_lost_upload(request, error) ||
           is_another_version(request, response, error);
}

// Azurite answers a range that begins at a blob's end with "bytes 10-9/10", Azure with 416.
bool is_range_of_nothing(const HttpRequest& request, const HttpResponse& response) {
    const std::string* range = request.header("range");
    if (response.status != 206 || range == nullptr)
        return false;
    const int64_t first = std::strtoll(range->c_str() + std::strlen("bytes="), nullptr, 10);
    return response.header_or("content-range", "") == "bytes " + std::to_string(first) + "-" +
                                                          std::to_string(first - 1) + "/" +
                                                          std::to_string(first);
}

}  // namespace

Failure failure_of_azure(int status, const std::string& code) noexcept {
    for (const CodeRule& rule : kCodes) {
        if (rule.code == code)
            return rule.failure;
    }
    // Answers that name no code come from somebody who is not the store.
    if (code.empty() && (status == 404 || status == 409 || (status >= 300 && status < 400)))
        return Failure::malformed;
    return failure_of_status(status);
}

AzureTransport::AzureTransport(std::shared_ptr<HttpTransport> inner,
                               std::shared_ptr<AzureCredentialCache> credentials,
                               std::string account)
    : inner_(std::move(inner)),
      credentials_(std::move(credentials)),
      account_(std::move(account)) {}

void AzureTransport::sign(HttpRequest& request) {
    request.set_header("x-ms-version", kVersion);
    request.set_header("x-ms-date", to_http_date(time(nullptr) + clock_offset_));
    const AzureCredentials credentials = credentials_->get();
    if (!credentials.key.empty()) {
        sign_shared_key(request, account_, credentials.key);
    } else if (!credentials.sas.empty()) {
        request.query.insert(request.query.end(), credentials.sas.begin(), credentials.sas.end());
    } else if (request.origin.starts_with("https://")) {
        request.set_header("authorization", "Bearer " + credentials.token);
    } else {
        throw Error(ErrorCode::permission_denied, "an identity's token is not sent over plain HTTP",
                    "Whoever reads it on its way could use it.",
                    "Use an endpoint with https:// in the repository's URL.");
    }
}

HttpResponse AzureTransport::send(HttpRequest request) {
    sign(request);
    HttpResponse response = inner_->perform(request);
    if (const auto date = parse_http_date(response.header_or("date", "")))
        last_skew_ = *date - time(nullptr);
    return response;
}

HttpResponse AzureTransport::perform(const HttpRequest& request) {
    HttpResponse response = send(request);
    if (is_range_of_nothing(request, response)) {
        response.status = 416;
        return response;
    }
    check_body(request, response);
    if (!is_answer(request, response, error_of(response)))
        throw failure_by(request, response);
    if (response.ok() && request.check)
        request.check(response);
    return response;
}

bool AzureTransport::is_clock_wrong() const {
    return std::abs(last_skew_ - clock_offset_) > kClockTolerance;
}

HttpFailure AzureTransport::failure_by(const HttpRequest& request, const HttpResponse& response) {
    const XmlError error = error_of(response);
    Failure failure = failure_of_azure(response.status, error.code);
    if (failure == Failure::expired_credentials && is_clock_wrong()) {
        failure = Failure::clock_skew;
        clock_offset_ = last_skew_.load();
    }
    // A key that was replaced in its file is read again.
    if (failure == Failure::expired_credentials || failure == Failure::access_denied)
        credentials_->invalidate();
    return failure_of_answer(failure, request, response, error, "x-ms-request-id");
}

}  // namespace ark
