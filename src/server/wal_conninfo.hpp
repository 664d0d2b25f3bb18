#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// How the streaming child connects to this very server: pg_ark.wal_conninfo, else its first Unix
/// socket (where it has none, localhost) and the role that is called as the server's operating
/// system user. It carries application_name=pg_ark unless the setting names another. Palloc'd; it
/// may hold a password.
char* wal_conninfo();

/// The role in it, for messages; "" where the setting decides. Palloc'd or static.
const char* wal_conninfo_user();

}  // namespace ark
