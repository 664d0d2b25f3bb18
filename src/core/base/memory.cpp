#include "core/base/memory.hpp"

#include <malloc.h>

namespace ark {

void give_back_freed_memory() noexcept {
    ::malloc_trim(0);
}

}  // namespace ark
