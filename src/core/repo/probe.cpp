#include "core/repo/probe.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "core/base/error.hpp"

namespace ark {

namespace {

std::string probe_name() {
    std::array<std::byte, 8> random{};
    static_cast<void>(!getrandom(random.data(), random.size(), 0));
    return std::string(kProbeDirectory) + "/" + to_hex(random);
}

}  // namespace

UnixMicros store_time(Repository& repository) {
    ObjectStore& store = repository.store();
    const std::string name = probe_name();
    store.put_if_absent(name, as_bytes("time\n"));
    const std::optional<ObjectInfo> info = store.head(name);
    store.remove(name);
    if (!info)
        throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    return info->modified;
}

ProbeResult probe_repository(Repository& repository) {
    ProbeResult result;
    ObjectStore& store = repository.store();
    const std::string name = probe_name();
    constexpr std::string_view kFirst = "first\n";
    constexpr std::string_view kSecond = "second\n";
    try {
        result.free_bytes = store.free_bytes();
        store.put_if_absent(name, as_bytes(kFirst));
        result.writable = true;
        const PutResult again = store.put_if_absent(name, as_bytes(kSecond));
        const std::optional<Bytes> there = store.get(name, 64);
        result.create_if_absent =
            again == PutResult::exists && there && std::ranges::equal(*there, as_bytes(kFirst));
        if (!result.create_if_absent) {
            result.detail = "The store does not honour create-if-absent: it overwrote an object.";
        }
        store.remove(name);
    } catch (const Error& error) {
        result.detail = error.message + ".";
        if (!error.detail.empty())
            result.detail += " " + error.detail;
    }
    return result;
}

}  // namespace ark
