#include "server/audit_settings.hpp"

#include "server/audit_call.hpp"
#include "server/audit_spool.hpp"
#include "server/settings.hpp"

extern "C" {
#include "nodes/pg_list.h"
#include "utils/guc.h"
}

namespace ark {

struct SettingValues {
    List* names;
    List* values;  ///< of char*
};

namespace {

char* value_of(const char* name) {
    const char* value = GetConfigOption(name, true, false);
    return pstrdup(value != nullptr ? value : "");
}

// A configuration file has no name on it: neither role nor address is known.
void record(const char* name, const char* before, const char* after) {
    AuditActor actor = {};
    strlcpy(actor.backend, "pg_ark launcher", sizeof(actor.backend));
    // What only superusers may see may be a password.
    const char* message =
        is_secret_setting(name) ? "changed" : psprintf("from \"%s\" to \"%s\"", before, after);
    const AuditEntry entry = {"setting", "accepted", name, nullptr, &actor, 0, message, InvalidOid};
    spool_audit(entry);
}

}  // namespace

SettingValues* remember_settings() {
    auto* values = static_cast<SettingValues*>(palloc0(sizeof(SettingValues)));
    values->names = setting_names();
    ListCell* cell;
    foreach (cell, values->names)
        values->values = lappend(values->values, value_of(static_cast<const char*>(lfirst(cell))));
    return values;
}

void record_changed_settings(const SettingValues* before) {
    ListCell* name;
    ListCell* value;
    forboth(name, before->names, value, before->values) {
        const auto* setting = static_cast<const char*>(lfirst(name));
        const auto* old = static_cast<const char*>(lfirst(value));
        const char* now = value_of(setting);
        if (strcmp(old, now) != 0)
            record(setting, old, now);
    }
}

}  // namespace ark
