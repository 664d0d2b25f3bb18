#pragma once

#include <cstdint>
#include <string>

#include "core/store/object_store.hpp"

namespace ark {

/// Seconds that a small object takes to come: the median of several readings.
double measure_round_trip(ObjectStore& store, const std::string& name);

struct StoreSpeed {
    double write_rate = 0;  ///< bytes a second, of one stream
    double read_rate = 0;
    uint64_t bytes = 0;    ///< by how many it was measured
    bool is_slow = false;  ///< more would have taken too long: `large` was not written
};

/// Writes an object of 1 MiB, where that was quick one of 16 MiB, and reads the larger one for at
/// most five seconds. Both stay.
StoreSpeed measure_speed(ObjectStore& store, const std::string& small, const std::string& large);

/// Begins an object that is longer than one part of a multipart upload, and gives it up.
void give_up_upload(ObjectStore& store, const std::string& name);

}  // namespace ark
