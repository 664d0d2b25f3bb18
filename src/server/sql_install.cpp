// Called once by the extension's script.
#include "server/preconditions.hpp"
#include "server/settings.hpp"
#include "server/shared.hpp"

extern "C" {
#include "access/xact.h"
}

namespace ark {
namespace {

bool installed_in_this_transaction = false;

// The launcher looks for rows and backups once the extension can be seen.
void on_transaction_end(XactEvent event, void*) {
    if (!installed_in_this_transaction)
        return;
    if (event == XACT_EVENT_COMMIT)
        request_sweep();
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
        installed_in_this_transaction = false;
}

}  // namespace
}  // namespace ark

/// Throws where CREATE EXTENSION makes no sense: library not preloaded, or another database than
/// pg_ark.database.
ARK_SQL_FUNCTION(pg_ark_check_install) {
    static bool registered = false;
    ark::require_loaded_here();
    if (!registered)
        RegisterXactCallback(ark::on_transaction_end, nullptr);
    registered = true;
    ark::installed_in_this_transaction = true;
    PG_RETURN_VOID();
}
