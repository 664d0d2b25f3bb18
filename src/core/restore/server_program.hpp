#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/repo/marker.hpp"

namespace ark {

/// The major version of a server's executable `postgres`, from its --version; nullopt where there
/// is none or it does not say.
std::optional<uint32_t> major_of_server(const std::string& postgres);

/// pg_ark is installed beside a server, which is to run what it restores. Error: refused where that
/// server is of another major version than the backup, and could not read its files.
void refuse_other_major(const BackupMarker& backup, const std::string& program);

}  // namespace ark
