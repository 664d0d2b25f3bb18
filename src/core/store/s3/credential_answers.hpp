#pragma once

#include <string>

#include "core/http/message.hpp"
#include "core/store/s3/credentials.hpp"

namespace ark {

// What those who give out Amazon's temporary keys answer. Error: permission_denied for an answer
// that is none, with the service's own words where it refuses; never with a key in it.

/// The document of a container's and of an instance's service. `from` is what messages call it.
S3Credentials credentials_in_json(const HttpResponse& response, const char* from);

/// The token service's answer to `action` ("AssumeRole").
S3Credentials credentials_in_xml(const HttpResponse& response, const std::string& action);

/// What a profile's credential_process wrote.
S3Credentials credentials_of_process(const std::string& text, const std::string& profile);

}  // namespace ark
