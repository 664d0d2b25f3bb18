#include "core/base/library.hpp"

#include <dlfcn.h>

#include "core/base/error.hpp"

namespace ark {

namespace {

std::string last_reason() {
    const char* reason = dlerror();  // NOLINT(concurrency-mt-unsafe): POSIX has one for each thread
    return reason == nullptr ? "" : std::string(reason) + ".";
}

}  // namespace

Library::Library(const std::string& name, const std::string& package)
    : name_(name), handle_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr)
        throw Error(ErrorCode::unsupported, "could not load library \"" + name + "\"",
                    last_reason(), "Install it; in Debian it is in package " + package + ".");
}

Library::Symbol Library::operator[](const char* function) const {
    void* address = dlsym(handle_, function);
    if (address == nullptr)
        throw Error(ErrorCode::unsupported,
                    "library \"" + name_ + "\" has no function \"" + function + "\"", last_reason(),
                    "Install a newer version of it.");
    return Symbol(address);
}

}  // namespace ark
