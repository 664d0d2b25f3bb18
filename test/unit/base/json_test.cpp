#include "core/base/json.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ark {
namespace {

std::string nested(size_t depth, char open, char close) {
    return std::string(depth, open) + std::string(depth, close);
}

// A million of them would end the process where the value is copied, or printed.
TEST(Json, WhatIsNestedTooDeepIsNoValue) {
    for (const size_t depth : {size_t{65}, size_t{100}, size_t{1000000}}) {
        EXPECT_TRUE(is_nested_too_deep(nested(depth, '[', ']'))) << depth;
        EXPECT_TRUE(parse_json(nested(depth, '[', ']')).is_discarded()) << depth;
    }
    std::string objects;
    for (int i = 0; i < 65; ++i)
        objects += "{\"a\":";
    EXPECT_TRUE(is_nested_too_deep(objects));
}

TEST(Json, WhatStandsSideBySideIsNot) {
    EXPECT_FALSE(is_nested_too_deep(nested(64, '[', ']')));
    EXPECT_EQ(parse_json("[[7]]")[0][0], 7);
    std::string list = "[0";
    for (int i = 0; i < 1000; ++i)
        list += ",[],{\"a\":[]}";
    EXPECT_FALSE(is_nested_too_deep(list + "]"));
    EXPECT_EQ(parse_json(list + "]").size(), 2001U);
}

TEST(Json, BracketsInTextAreText) {
    for (const std::string& text :
         {"\"" + std::string(1000, '[') + "\"", "\"\\\"" + std::string(1000, '{') + "\""}) {
        EXPECT_FALSE(is_nested_too_deep(text));
        EXPECT_TRUE(parse_json(text).is_string()) << text;
    }
    // The quotation mark after two backslashes is the end of the text.
    EXPECT_TRUE(is_nested_too_deep("[\"\\\\\"," + std::string(100, '[')));
}

TEST(Json, PlainMember) {
    const auto path = [](std::string_view text) { return plain_member(text, "\"path\""); };
    EXPECT_EQ(path(R"({"mode":1,"path":"base/1","size":2})"), "base/1");
    EXPECT_EQ(path(R"({"path":""})"), "");
    EXPECT_EQ(path(R"({"a":{"path":"no"},"b":["path",{"path":"no"}],"path":"yes"})"), "yes");
    EXPECT_EQ(path(R"({"a":"path","path":"yes"})"), "yes");
    for (const char* text :
         {R"({"path":{"hex":"00"}})", R"({"path": "a"})", R"({"path":"a\u0062"})",
          R"({"a":"\"","path":"a"})", R"({"xpath":"a"})", R"({"path":7})", R"([{"path":"a"}])",
          R"({"path":"a)", R"("path":"a")", R"(}{"path":"a"})", ""})
        EXPECT_EQ(path(text), std::nullopt) << text;
}

TEST(Json, WhatIsNoneIsDiscarded) {
    for (const char* text : {"", "{", "]", "\"", "\"\\", "nul"})
        EXPECT_TRUE(parse_json(text).is_discarded()) << text;
}

}  // namespace
}  // namespace ark
