#include "cli/traffic.hpp"

#include <cmath>
#include <cstdio>

#include "core/base/bytes.hpp"

namespace ark {

namespace {

std::string per_gigabyte(uint64_t requests, uint64_t stored_bytes) {
    const double gigabytes = static_cast<double>(stored_bytes) / 1e9;
    return std::to_string(std::llround(static_cast<double>(requests) / gigabytes));
}

}  // namespace

nlohmann::json json_of(const StoreTraffic& traffic) {
    return {{"reads", traffic.reads},           {"writes", traffic.writes},
            {"deletes", traffic.deletes},       {"retries", traffic.retries},
            {"bytes_sent", traffic.bytes_sent}, {"bytes_received", traffic.bytes_received}};
}

std::string text_of(const StoreTraffic& traffic, uint64_t stored_bytes) {
    if (traffic.reads + traffic.writes + traffic.deletes == 0)
        return {};
    std::string text =
        std::to_string(traffic.writes) + " writes, " + std::to_string(traffic.reads) + " reads, " +
        std::to_string(traffic.retries) + " retries; " + human_bytes(traffic.bytes_sent) +
        " sent, " + human_bytes(traffic.bytes_received) + " received";
    if (stored_bytes > 0) {
        text += "; for each stored GB " + per_gigabyte(traffic.writes, stored_bytes) +
                " writes and " + per_gigabyte(traffic.reads, stored_bytes) + " reads";
    }
    return text;
}

void print_traffic(const StoreTraffic& traffic, uint64_t stored_bytes) {
    const std::string text = text_of(traffic, stored_bytes);
    if (!text.empty())
        std::printf("requests: %s\n", text.c_str());
}

}  // namespace ark
