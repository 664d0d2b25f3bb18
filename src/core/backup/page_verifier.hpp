#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/file.hpp"
#include "core/pgdata/page.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/repo/marker.hpp"

namespace ark {

/// How many corrupt pages are named; all are counted.
constexpr size_t kMaxReportedPages = 1000;

/// A page that does not match its checksum but says that WAL after the backup's start wrote it. WAL
/// replay repairs such a page, unless its LSN is one that the server has not reached: then the LSN
/// itself is damage. That is decided when the backup has stopped.
struct SuspectPage {
    CorruptPage page;
    RelationPath relation;
    Lsn lsn = 0;
};

/// Verifies the pages of one file as they are copied. The rule (src/backend/backup/basebackup.c,
/// sendFile, and pgBackRest's reasoning agree): a mismatch is read again, since the server may be
/// writing the page at this moment; a page that is still wrong and older than the start LSN is
/// corrupt; a newer one is left to WAL.
class PageVerifier {
 public:
    struct Findings {
        uint64_t verified = 0;
        uint64_t corrupt_count = 0;        ///< for certain
        std::vector<SuspectPage> corrupt;  ///< the first kMaxReportedPages of them
        std::vector<SuspectPage> suspect;  ///< newer than the start LSN, the first of them
        std::vector<Lsn> more_suspects;    ///< LSNs of the others: a ruined disk has millions
    };

    PageVerifier(const File& file, std::string path, const RelationPath& relation,
                 uint32_t blocks_per_segment, Lsn start_lsn, Findings& findings);

    /// `data` was read from the file at `offset` (a multiple of the page size). Pages that are
    /// right at a second reading are replaced in `data`. A part of a page at the end is passed
    /// over: the server was extending the file, and WAL has the page.
    void verify(MutableByteView data, uint64_t offset);

 private:
    void look_again(MutableByteView page, uint64_t offset, uint32_t block);
    void note(SuspectPage found);

    const File& file_;
    std::string path_;
    RelationPath relation_;
    uint64_t first_block_;
    Lsn start_lsn_;
    Findings& findings_;
};

}  // namespace ark
