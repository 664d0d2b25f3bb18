#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "core/store/object_store.hpp"

namespace ark {

/// What a command cost on the store's bill: {"reads": …, "writes": …, "deletes": …, "retries": …,
/// "bytes_sent": …, "bytes_received": …}; all zero where nobody sends one.
nlohmann::json json_of(const StoreTraffic& traffic);

/// "41 writes, 12 reads, 0 retries; 1.2 GB sent, 3.4 kB received", with the requests for
/// each stored GB where `stored_bytes` is not 0. Empty where there is no bill.
std::string text_of(const StoreTraffic& traffic, uint64_t stored_bytes = 0);

/// "requests: " and the text as a line on standard output, where there is a bill.
void print_traffic(const StoreTraffic& traffic, uint64_t stored_bytes = 0);

}  // namespace ark
