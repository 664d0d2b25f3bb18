#include "server/clone.hpp"

#include <unistd.h>

#include "server/throttle.hpp"

extern "C" {
#include "storage/fd.h"
}

namespace ark {

// Processes of the server run in the data directory.
bool is_clone() {
    return access(kCloneMarker, F_OK) == 0;
}

void remove_clone_marker() {
    (void)durable_unlink(kCloneMarker, ERROR);
}

void warn_about_clone(const char* consequence) {
    static Throttle throttle;
    if (throttle_passes(&throttle, consequence))
        ereport(
            WARNING,
            (errmsg("this cluster is a restored copy and is not protected"),
             errdetail("%s Its data directory holds the file \"%s\".", consequence, kCloneMarker),
             errhint("If it has taken the original's place run SELECT ark.adopt(); a copy that "
                     "only serves a look at the data can stay as it is.")));
}

}  // namespace ark
