#include "core/pgdata/visibility_map.hpp"

#include <fcntl.h>

#include "core/pgdata/page.hpp"

namespace ark {

namespace {

// src/backend/access/heap/visibilitymap.c. test/versions/layout.cpp compares.
constexpr size_t kPageHeader = 24;
constexpr uint64_t kBlocksOfByte = 4;
constexpr unsigned kAllVisible = 1;
constexpr unsigned kAllFrozen = 2;
static_assert(VisibilityMap::kBlocksOfPage == (kPageBytes - kPageHeader) * kBlocksOfByte);

}  // namespace

VisibilityMap::VisibilityMap(std::string first_file, uint32_t blocks_per_segment, bool checksums)
    : path_(std::move(first_file) + "_vm"),
      blocks_per_segment_(blocks_per_segment),
      checksums_(checksums) {}

VisibilityMap::State VisibilityMap::of(uint64_t block) {
    if (loaded_ != block / kBlocksOfPage)
        load_page(block / kBlocksOfPage);
    if (page_.empty())
        return {};
    const uint64_t place = block % kBlocksOfPage;
    const auto byte = std::to_integer<unsigned>(page_[kPageHeader + place / kBlocksOfByte]);
    const unsigned bits = byte >> place % kBlocksOfByte * 2;
    return {(bits & kAllVisible) != 0, (bits & kAllFrozen) != 0};
}

void VisibilityMap::load_page(uint64_t number) {
    loaded_ = number;
    page_.clear();
    const uint64_t segment = number / blocks_per_segment_;
    if (segment_ != segment) {
        segment_ = segment;
        file_ = File::open_if_exists(segment == 0 ? path_ : path_ + "." + std::to_string(segment),
                                     O_RDONLY);
    }
    if (!file_)
        return;
    Bytes page(kPageBytes);
    if (file_->pread_full(page, number % blocks_per_segment_ * kPageBytes) != page.size())
        return;
    const PageState state = check_page(page, static_cast<uint32_t>(number));
    if (state == PageState::valid || (!checksums_ && state == PageState::bad_checksum))
        page_ = std::move(page);
}

}  // namespace ark
