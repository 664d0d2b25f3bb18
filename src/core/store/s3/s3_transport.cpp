#include "core/store/s3/s3_transport.hpp"

#include <array>
#include <ctime>

#include "core/http/body_check.hpp"
#include "core/store/cloud/answer.hpp"

namespace ark {

namespace {

struct CodeRule {
    std::string_view code;
    Failure failure;
};

// Amazon S3 API reference, "Error responses"; Google Cloud Storage, "HTTP status and error codes
// for XML"; codes of others where they differ.
constexpr std::array<CodeRule, 29> kCodes{{
    {"RequestTimeTooSkewed", Failure::clock_skew},
    {"ExpiredToken", Failure::expired_credentials},
    {"TokenRefreshRequired", Failure::expired_credentials},
    {"InvalidToken", Failure::expired_credentials},
    {"RequestExpired", Failure::expired_credentials},
    {"AuthorizationHeaderMalformed", Failure::other_region},
    {"PermanentRedirect", Failure::other_region},
    {"TemporaryRedirect", Failure::other_region},
    {"IllegalLocationConstraintException", Failure::other_region},
    {"RequestTimeout", Failure::timeout},
    {"IncompleteBody", Failure::truncated},
    {"BadDigest", Failure::checksum_mismatch},
    {"InvalidDigest", Failure::checksum_mismatch},
    {"CrcMismatch", Failure::checksum_mismatch},
    {"XAmzContentSHA256Mismatch", Failure::checksum_mismatch},
    {"XAmzContentChecksumMismatch", Failure::checksum_mismatch},
    {"ConditionalRequestConflict", Failure::conflict_in_progress},
    {"OperationAborted", Failure::conflict_in_progress},
    {"SlowDown", Failure::throttled},
    {"SlowDownRead", Failure::throttled},
    {"SlowDownWrite", Failure::throttled},
    {"TooManyRequests", Failure::throttled},
    {"NoSuchBucket", Failure::no_such_bucket},
    {"NotImplemented", Failure::not_implemented},
    {"InternalError", Failure::server_error},
    {"ServiceUnavailable", Failure::server_error},
    {"UploadTimeout", Failure::timeout},
    {"UserProjectMissing", Failure::access_denied},
    {"UserProjectInvalid", Failure::access_denied},
}};

// Absence that is an answer and no error.
bool is_absence(const HttpResponse& response, const XmlError& error) {
    if (response.status != 404)
        return false;
    return error.code == "NoSuchKey" || error.code == "NoSuchUpload" ||
           error.code == "NoSuchVersion";
}

bool is_answer(const HttpRequest& request, const HttpResponse& response, const XmlError& error) {
    return response.ok() || answers_condition(request, response.status) ||
           answers_range(request, response.status) || is_absence(response, error);
}

}  // namespace

Failure failure_of_s3(int status, const std::string& code) noexcept {
    for (const CodeRule& rule : kCodes) {
        if (rule.code == code)
            return rule.failure;
    }
    // "Who are you?": an access token that has ended, or was taken back, is all it can be.
    if (status == 401)
        return Failure::expired_credentials;
    if (status >= 300 && status < 400)
        return Failure::other_region;
    // A 404 that names no code comes from somebody who is not the store.
    if (status == 404 && code.empty())
        return Failure::malformed;
    return failure_of_status(status);
}

S3Transport::S3Transport(std::shared_ptr<HttpTransport> inner,
                         std::shared_ptr<RequestSigner> signer, S3Endpoint endpoint)
    : inner_(std::move(inner)),
      signer_(std::move(signer)),
      endpoint_(std::move(endpoint)),
      region_(endpoint_.region) {}

std::string S3Transport::region() const {
    const std::lock_guard lock(mutex_);
    return region_;
}

HttpResponse S3Transport::send(HttpRequest request) {
    const std::string region = this->region();
    request.origin = endpoint_.origin_of(region);
    signer_->sign(request, region, time(nullptr) + clock_offset_);
    HttpResponse response = inner_->perform(request);
    if (const auto date = parse_http_date(response.header_or("date", "")))
        last_skew_ = *date - time(nullptr);
    return response;
}

HttpResponse S3Transport::perform(const HttpRequest& request) {
    HttpResponse response = send(request);
    check_body(request, response);
    const XmlError error = response.ok() ? XmlError{} : parse_xml_error(response);
    if (is_answer(request, response, error)) {
        if (response.ok() && request.check)
            request.check(response);
        return response;
    }
    if (request.method == "HEAD") {
        // An answer to HEAD has no body, and so no reason: the same question by GET has.
        HttpRequest get = request;
        get.method = "GET";
        get.set_header("range", "bytes=0-0");
        get.into.reset();
        const HttpResponse explained = send(get);
        if (is_absence(explained, parse_xml_error(explained)))
            return response;
        throw failure_by(request, explained.ok() ? response : explained);
    }
    throw failure_by(request, response);
}

void S3Transport::mend(Failure failure, const HttpResponse& response, const std::string& region) {
    if (failure == Failure::expired_credentials)
        signer_->invalidate();
    if (failure == Failure::clock_skew)
        clock_offset_ = last_skew_.load();
    if (failure == Failure::other_region) {
        const std::string named = response.header_or("x-amz-bucket-region", region);
        const std::lock_guard lock(mutex_);
        if (!named.empty())
            region_ = named;
    }
}

HttpFailure S3Transport::failure_by(const HttpRequest& request, const HttpResponse& response) {
    const XmlError error = parse_xml_error(response);
    const Failure failure = failure_of_s3(response.status, error.code);
    const std::string before = region();
    mend(failure, response, error.region);
    const char* id = response.header("x-guploader-uploadid") != nullptr ? "x-guploader-uploadid"
                                                                        : "x-amz-request-id";
    HttpFailure out = failure_of_answer(failure, request, response, error, id);
    // A region that is named twice is no news.
    if (failure == Failure::other_region && region() == before)
        out.retryable = false;
    return out;
}

}  // namespace ark
