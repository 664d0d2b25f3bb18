#pragma once

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace ark::fuzz {

/// One parser, or a few that belong together, under inputs that libFuzzer makes up (main.cpp). Each
/// is a constant in a file of its own. `run` may end the process only by what is a bug.
struct Target {
    using Seeds = std::vector<Bytes> (*)();
    using Run = void (*)(ByteView input);

    /// `seeds`: well-formed inputs, made when they are wanted.
    Target(const char* name, Seeds seeds, Run run);

    const char* name;
    Seeds seeds;
    Run run;
};

/// A property that does not hold ends the process, and libFuzzer keeps the input.
inline void require(bool holds, std::string_view what) {
    if (holds)
        return;
    std::cerr << "property broken: " << what << std::endl;
    std::abort();
}

/// The rule for every parser: a value or an Error, and that is none about a bug of ours. Anything
/// else that is thrown ends the process. True where there was a value.
template <typename Call>
bool answers(const Call& call) {
    try {
        static_cast<void>(call());
        return true;
    } catch (const Error& error) {
        require(error.code != ErrorCode::internal, error.message);
        return false;
    }
}

/// Takes an input apart; what is missing is zero.
class Input {
 public:
    explicit Input(ByteView bytes) : rest_(bytes) {}

    bool empty() const { return rest_.empty(); }
    ByteView rest() const { return rest_; }

    template <typename T>
    T take() {
        Bytes bytes(sizeof(T));
        const ByteView got = take_bytes(sizeof(T));
        std::copy(got.begin(), got.end(), bytes.begin());
        return load<T>(bytes, 0);
    }
    ByteView take_bytes(size_t size) {
        const ByteView out = rest_.first(std::min(size, rest_.size()));
        rest_ = rest_.subspan(out.size());
        return out;
    }
    /// Up to the next `stop`, which goes too.
    std::string take_text(char stop) {
        const std::string_view text = as_text(rest_);
        const std::string_view part = text.substr(0, text.find(stop));
        take_bytes(part.size() + 1);
        return std::string(part);
    }

 private:
    ByteView rest_;
};

inline Bytes bytes_of(std::string_view text) {
    const ByteView bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}
inline std::vector<Bytes> seeds_of(std::initializer_list<std::string_view> texts) {
    std::vector<Bytes> out;
    for (const std::string_view text : texts)
        out.push_back(bytes_of(text));
    return out;
}
inline void append(Bytes& out, ByteView more) {
    out.insert(out.end(), more.begin(), more.end());
}

}  // namespace ark::fuzz
