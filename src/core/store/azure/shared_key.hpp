#pragma once

#include <string>

#include "core/base/bytes.hpp"
#include "core/http/message.hpp"

namespace ark {

/// What the key of a storage account signs. Source: Microsoft, "Authorize with Shared Key", for
/// versions of the service from 2015-02-21.
std::string shared_key_string(const HttpRequest& request, const std::string& account);

/// Adds the authorization header. All other headers, x-ms-date among them, are there already.
void sign_shared_key(HttpRequest& request, const std::string& account, ByteView key);

}  // namespace ark
