#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ark {

/// In the order of their numbers in WAL (src/include/common/relpath.h).
enum class Fork { main, fsm, vm, init };
constexpr uint32_t kForks = 4;
const char* name_of(Fork fork) noexcept;

/// What the server calls RelFileNode (15) or RelFileLocator (16 on).
struct RelationId {
    uint32_t tablespace = 0;  ///< 1663 pg_default, 1664 pg_global
    uint32_t database = 0;    ///< 0 in pg_global
    uint32_t filenode = 0;

    // clang-tidy takes the 0 that such an order is compared with for a pointer.
    auto operator<=>(const RelationId&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// A relation's file: `<filenode>[_<fork>][.<segment>]`, or `t<backend>_<filenode>…` for a
/// temporary one (parse_filename_for_nontemp_relation in src/backend/storage/file/reinit.c).
struct RelationFileName {
    bool temporary = false;
    uint32_t filenode = 0;
    Fork fork = Fork::main;
    uint32_t segment = 0;
};

/// nullopt for any other file name.
std::optional<RelationFileName> parse_relation_file_name(std::string_view name);

/// Where a file of a relation lies: base/<db>/…, global/…, pg_tblspc/<spc>/PG_…/<db>/….
struct RelationPath {
    uint32_t tablespace = 0;  ///< 1663 pg_default, 1664 pg_global, or the oid below pg_tblspc
    uint32_t database = 0;    ///< 0 in global
    RelationFileName file;

    RelationId relation() const { return {tablespace, database, file.filenode}; }
};

/// nullopt where the path (relative to the data directory) is not a relation's.
std::optional<RelationPath> parse_relation_path(std::string_view path);

}  // namespace ark
