#pragma once
#include "server/catalog_client.hpp"

namespace ark {

/// Puts rows of ark.audit_log that are not there yet into the repository, through a child that is
/// started for it, and only where there are any. `catalog`: the child, which the caller closes,
/// also after an error. Throws what keeps it; what is stored by then is marked.
void mirror_audit_rows(CatalogClient** catalog);

/// Whether there is, and may be used, a repository for it: a restored copy writes nothing that the
/// original writes, and one that was never used is made by what needs it.
bool audit_has_mirror();

}  // namespace ark
