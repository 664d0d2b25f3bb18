#pragma once

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace ark::test {

/// Runs a shell command, expects success and returns what it wrote to standard output.
inline std::string output_of(const std::string& command) {
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr)
        throw std::runtime_error("popen failed");
    std::string out;
    std::array<char, 4096> buffer{};
    for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
        out.append(buffer.data(), n);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return out;
}

}  // namespace ark::test
