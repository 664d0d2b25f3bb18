#include "core/backup/page_verifier.hpp"

#include <unistd.h>

#include <array>
#include <utility>

namespace ark {

namespace {

// A write in flight takes microseconds; a page that stays wrong over these is wrong on disk.
constexpr int kRereads = 3;
constexpr useconds_t kRereadPauseMicros = 5000;
// Where a lane has found so many it is the disk, and pausing for each of millions would take hours.
constexpr size_t kMostPaused = 20;

const char* reason_of(PageState state) {
    return state == PageState::bad_header ? "invalid page header" : "checksum mismatch";
}

}  // namespace

PageVerifier::PageVerifier(const File& file, std::string path, const RelationPath& relation,
                           uint32_t blocks_per_segment, Lsn start_lsn, Findings& findings)
    : file_(file),
      path_(std::move(path)),
      relation_(relation),
      first_block_(static_cast<uint64_t>(relation.file.segment) * blocks_per_segment),
      start_lsn_(start_lsn),
      findings_(findings) {}

void PageVerifier::verify(MutableByteView data, uint64_t offset) {
    for (size_t at = 0; at + kPageBytes <= data.size(); at += kPageBytes) {
        const MutableByteView page = data.subspan(at, kPageBytes);
        const auto block = static_cast<uint32_t>(first_block_ + (offset + at) / kPageBytes);
        ++findings_.verified;
        const PageState state = check_page(page, block);
        if (state == PageState::bad_checksum || state == PageState::bad_header) {
            look_again(page, offset + at, block);
        }
    }
}

void PageVerifier::look_again(MutableByteView page, uint64_t offset, uint32_t block) {
    std::array<std::byte, kPageBytes> again{};
    PageState state = PageState::bad_checksum;
    for (int i = 0; i < kRereads; ++i) {
        if (i > 0 && findings_.corrupt.size() + findings_.suspect.size() < kMostPaused)
            usleep(kRereadPauseMicros);
        // The file may have been truncated meanwhile: WAL has that, and what was read stays.
        if (file_.pread_full(again, offset) < kPageBytes)
            return;
        state = check_page(again, block);
        if (state == PageState::valid || state == PageState::empty) {
            std::memcpy(page.data(), again.data(), kPageBytes);
            return;
        }
    }
    std::memcpy(page.data(), again.data(), kPageBytes);
    note({{path_, block, reason_of(state)}, relation_, page_lsn(again)});
}

void PageVerifier::note(SuspectPage found) {
    const bool repairable = found.lsn > start_lsn_;
    auto& list = repairable ? findings_.suspect : findings_.corrupt;
    if (!repairable)
        ++findings_.corrupt_count;
    if (list.size() < kMaxReportedPages) {
        list.push_back(std::move(found));
    } else if (repairable) {
        findings_.more_suspects.push_back(found.lsn);
    }
}

}  // namespace ark
