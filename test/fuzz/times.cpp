#include "core/base/clock.hpp"
#include "core/http/message.hpp"
#include "core/restore/target.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"2026-11-20T02:15:00.123456Z", "2026-11-20 14:03:00+02:30", "2026-11-20",
                     "Sat, 21 Nov 2026 18:00:00 GMT", "0x1F", "latest", "7"});
}

void run(ByteView input) {
    const std::string text(as_text(input));
    if (const auto time = parse_time(text, false))
        require(parse_time(to_iso8601(*time), false) == time, "a time survives");
    static_cast<void>(parse_time(text, true));
    if (const auto seconds = parse_http_date(text))
        static_cast<void>(to_http_date(*seconds));
    if (input.size() >= sizeof(int64_t))
        static_cast<void>(to_iso8601(from_postgres_time(load<int64_t>(input, 0))));
    constexpr UnixMicros kNow = 1795140900123456;
    answers([&] { return describe(parse_target({.time = text}, kNow)); });
    answers([&] { return describe(parse_target({.xid = text}, kNow)); });
    answers([&] { return describe(parse_target({.lsn = text}, kNow)); });
    answers([&] { return describe(parse_target({.target = text}, kNow)); });
    answers([&] { return parse_timeline(text); });
}

const Target target("times", seeds, run);

}  // namespace
}  // namespace ark::fuzz
