#include "core/repo/probe.hpp"

#include <sys/random.h>

#include <array>
#include <optional>

#include "core/base/error.hpp"

namespace ark {

std::string probe_name() {
    std::array<std::byte, 8> random{};
    static_cast<void>(!getrandom(random.data(), random.size(), 0));
    return std::string(kProbeDirectory) + "/" + to_hex(random);
}

UnixMicros store_time(Repository& repository) {
    ObjectStore& store = repository.store();
    const std::string name = probe_name();
    store.put_if_absent(name, as_bytes("time\n"));
    const std::optional<ObjectInfo> info = store.head(name);
    try {
        store.remove(name);
    } catch (const Error& error) {
        // Who may not remove can live with that: the object is small.
        if (error.code != ErrorCode::permission_denied)
            throw;
    }
    if (!info)
        throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    return info->modified;
}

}  // namespace ark
