#include "core/http/libcurl.hpp"

namespace ark {

const LibCurl& curl() {
    static const LibCurl functions;
    return functions;
}

}  // namespace ark
