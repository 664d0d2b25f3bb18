#pragma once

#include <string>

namespace ark {

/// A shared library that is loaded when it is first needed, and stays. libcurl and libpq come with
/// thirty others, which cost three milliseconds at each start: a restore_command that finds its
/// segment beside it needs none of them (docs/performance.md).
class Library {
 public:
    /// An address that takes on the type of whatever function pointer it is assigned to.
    class Symbol {
     public:
        explicit Symbol(void* address) : address_(address) {}
        template <typename Function>
        operator Function*() const {  // NOLINT(google-explicit-constructor): that is its purpose
            return reinterpret_cast<Function*>(address_);
        }

     private:
        void* address_;
    };

    /// Error: unsupported where `name` ("libcurl.so.4") can't be loaded; the hint names `package`.
    Library(const std::string& name, const std::string& package);

    /// Error: unsupported where the library is too old to have it.
    Symbol operator[](const char* function) const;

 private:
    std::string name_;
    void* handle_ = nullptr;
};

}  // namespace ark
