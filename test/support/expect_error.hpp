#pragma once

#include <string>

#include <gtest/gtest.h>

#include "core/base/error.hpp"

namespace ark::test {

/// Runs `function`, expects an Error of this code and returns it for a look at its texts. Anything
/// else that is thrown fails the test by name.
template <typename Function>
Error expect_error(ErrorCode code, const Function& function, const std::string& what = {}) {
    try {
        static_cast<void>(function());
        ADD_FAILURE() << what << ": no error, expected " << name_of(code);
    } catch (const Error& error) {
        EXPECT_EQ(error.code, code) << what << ": " << error.message << " " << error.detail;
        return error;
    } catch (const std::exception& error) {
        ADD_FAILURE() << what << ": an exception that is no ark::Error: " << error.what();
    }
    return {ErrorCode::internal, "none"};
}

/// True where the text has this part.
inline bool mentions(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace ark::test
