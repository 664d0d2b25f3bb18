#include "core/store/store_speed.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "core/base/clock.hpp"

namespace ark {

namespace {

constexpr size_t kPiece = 1 << 20;
constexpr size_t kLargePieces = 16;
constexpr size_t kLarge = kLargePieces * kPiece;
constexpr size_t kMoreThanOnePart = (8 << 20) + 1;
constexpr double kSeconds = 5;
constexpr size_t kRoundTrips = 7;

double seconds_since(int64_t began) {
    return static_cast<double>(std::max<int64_t>(monotonic_nanos() - began, 1)) / 1e9;
}

// Bytes that nobody on the way can make fewer.
Bytes noise() {
    Bytes bytes(kPiece);
    uint64_t state = 0x9E3779B97F4A7C15;
    for (std::byte& byte : bytes) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        byte = static_cast<std::byte>(state);
    }
    return bytes;
}

std::unique_ptr<Upload> upload(ObjectStore& store, const std::string& name, size_t bytes) {
    const Bytes piece = noise();
    std::unique_ptr<Upload> out = store.start_upload(name);
    for (size_t done = 0; done < bytes; done += piece.size())
        out->write(ByteView(piece).first(std::min(piece.size(), bytes - done)));
    return out;
}

double read_rate(ObjectStore& store, const std::string& name, size_t bytes) {
    Bytes buffer(4 * kPiece);
    size_t done = 0;
    const int64_t began = monotonic_nanos();
    while (done < bytes && seconds_since(began) < kSeconds) {
        const size_t n = store.get_range(name, done, buffer);
        if (n == 0)
            break;
        done += n;
    }
    return static_cast<double>(done) / seconds_since(began);
}

}  // namespace

double measure_round_trip(ObjectStore& store, const std::string& name) {
    std::array<double, kRoundTrips> times{};
    for (double& time : times) {
        const int64_t began = monotonic_nanos();
        store.get(name, kPiece);
        time = seconds_since(began);
    }
    std::ranges::sort(times);
    return times[kRoundTrips / 2];
}

StoreSpeed measure_speed(ObjectStore& store, const std::string& small, const std::string& large) {
    StoreSpeed out;
    out.bytes = kPiece;
    const Bytes piece = noise();
    int64_t began = monotonic_nanos();
    store.put_if_absent(small, piece);
    double seconds = seconds_since(began);
    out.is_slow = seconds * kLargePieces > kSeconds;
    if (!out.is_slow) {
        out.bytes = kLarge;
        began = monotonic_nanos();
        upload(store, large, kLarge)->finish();
        seconds = seconds_since(began);
    }
    out.write_rate = static_cast<double>(out.bytes) / seconds;
    out.read_rate = read_rate(store, out.is_slow ? small : large, out.bytes);
    return out;
}

void give_up_upload(ObjectStore& store, const std::string& name) {
    upload(store, name, kMoreThanOnePart)->cancel();
}

}  // namespace ark
