#pragma once

#include <pugixml.hpp>
#include <string>

#include "core/http/message.hpp"

namespace ark {

/// The code and message of an <Error> document; both empty where the body is none.
struct XmlError {
    std::string code;
    std::string message;
    std::string region;  ///< of a redirect, where it names one
};
XmlError parse_xml_error(const HttpResponse& response);

/// The document, whose root has to be `root`. Error: HttpFailure (malformed), so that an HTML page
/// with status 200 is no answer; the class of an <Error> where it is one.
pugi::xml_document parse_xml(const HttpResponse& response, const char* root);

std::string xml_escape(const std::string& text);

}  // namespace ark
