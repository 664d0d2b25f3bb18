#pragma once

#include "core/http/failure.hpp"
#include "core/http/message.hpp"
#include "core/store/cloud/xml.hpp"

namespace ark {

/// Whether an answer that is no success answers what was asked all the same: "exists already" a
/// condition, "no such range" a range. To anything else they are no answer, least of all to a HEAD,
/// which asks whether an object is there.
bool answers_condition(const HttpRequest& request, int status);
bool answers_range(const HttpRequest& request, int status);

/// What the user is told: the status, the store's code and message, the id under which the vendor
/// finds the request; and how long the store wants to be left alone.
HttpFailure failure_of_answer(Failure failure, const HttpRequest& request,
                              const HttpResponse& response, const XmlError& error,
                              const char* id_header);

}  // namespace ark
