#pragma once

namespace ark {

/// For the launcher, around a reload of the configuration: what the settings of pg_ark are, and an
/// entry of the audit log for each that has changed since.
struct SettingValues;
SettingValues* remember_settings();
void record_changed_settings(const SettingValues* before);

}  // namespace ark
