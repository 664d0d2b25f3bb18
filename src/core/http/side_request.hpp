#pragma once

#include <string>

#include "core/http/message.hpp"

namespace ark {

/// One request to a service beside the store (tokens, metadata), tried for ten seconds: by a client
/// of its own, which is closed again. Any status is an answer, but those that ask to be tried
/// again. Error: HttpFailure.
HttpResponse side_request(const HttpRequest& request, const std::string& ca_file);

}  // namespace ark
