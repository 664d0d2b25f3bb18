#pragma once

#include <string>

#include "core/http/message.hpp"

namespace ark {

/// What differs between Amazon's signature version 4 and Google's of the same make.
struct SignatureStyle {
    const char* algorithm;      ///< first line of what is signed
    const char* key_prefix;     ///< before the secret
    const char* service;        ///< third part of the scope
    const char* terminator;     ///< fourth part of the scope
    const char* header_prefix;  ///< "x-amz-"
    bool may_omit_payload;      ///< over TLS
};
inline constexpr SignatureStyle kAwsS3Style{"AWS4-HMAC-SHA256", "AWS4",   "s3",
                                            "aws4_request",     "x-amz-", true};
inline constexpr SignatureStyle kAwsStsStyle{"AWS4-HMAC-SHA256", "AWS4",   "sts",
                                             "aws4_request",     "x-amz-", false};
inline constexpr SignatureStyle kGoogleStyle{"GOOG4-HMAC-SHA256", "GOOG4",   "storage",
                                             "goog4_request",     "x-goog-", true};

struct SigningKey {
    std::string access_key;
    std::string secret_key;
    std::string session_token;  ///< empty for a long-lived key
};

/// Adds date, content digest, token and authorization headers. Over TLS the payload is not hashed
/// (TLS and the upload's checksum guard it); over plain HTTP its SHA-256 is signed.
/// Source: AWS "Signature Version 4 signing process", "Authenticating Requests: Using the
/// Authorization Header"; Google "V4 signing process with HMAC keys".
void sign_request(HttpRequest& request, const SignatureStyle& style, const SigningKey& key,
                  const std::string& region, int64_t unix_seconds);

}  // namespace ark
