#include "core/pq/libpq.hpp"

namespace ark {

const LibPq& pq() {
    static const LibPq functions;
    return functions;
}

}  // namespace ark
