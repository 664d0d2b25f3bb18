#include "core/store/cloud/xml.hpp"

#include "core/http/failure.hpp"

namespace ark {

namespace {

std::string beginning_of(const HttpResponse& response) {
    constexpr size_t kShown = 100;
    std::string text(as_text(response.body).substr(0, kShown));
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~')
            c = ' ';
    }
    return "The answer begins with \"" + text + "\".";
}

}  // namespace

XmlError parse_xml_error(const HttpResponse& response) {
    pugi::xml_document document;
    if (!document.load_buffer(response.body.data(), response.body.size()))
        return {};
    const pugi::xml_node error = document.child("Error");
    return {error.child_value("Code"), error.child_value("Message"), error.child_value("Region")};
}

pugi::xml_document parse_xml(const HttpResponse& response, const char* root) {
    pugi::xml_document document;
    if (!document.load_buffer(response.body.data(), response.body.size()) ||
        (!document.child(root) && !document.child("Error"))) {
        throw HttpFailure(Failure::malformed, "the store's answer is not what was asked for",
                          beginning_of(response));
    }
    if (!document.child(root)) {
        const XmlError error = parse_xml_error(response);
        throw HttpFailure(Failure::server_error, "the store could not finish a request",
                          error.code + ": " + error.message);
    }
    return document;
}

std::string xml_escape(const std::string& text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out.push_back(c);
        }
    }
    return out;
}

}  // namespace ark
