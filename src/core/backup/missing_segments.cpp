#include "core/backup/missing_segments.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>

#include "core/pgdata/page.hpp"
#include "core/pgdata/relation_name.hpp"

namespace ark {

namespace {

// What is seen so often in a row is so.
constexpr int kLooks = 3;

std::string segment_path(const std::string& first, uint32_t segment) {
    return segment == 0 ? first : first + "." + std::to_string(segment);
}

class Row {
 public:
    Row(std::string first, uint32_t last, uint64_t segment_bytes)
        : first_(std::move(first)), last_(last), segment_bytes_(segment_bytes) {}

    // The segment with the hole, as the files are at this moment.
    std::optional<uint32_t> hole() const {
        for (uint32_t i = 0; i < last_; ++i) {
            if (bytes(i) == segment_bytes_)
                continue;
            // Looked at from here on: a table that is growing has this one full by now.
            const bool goes_on = has_pages_behind(i);
            if (goes_on && bytes(i) != segment_bytes_ && has_pages_behind(i) && !is_dropped())
                return i;
            return std::nullopt;
        }
        return std::nullopt;
    }

    std::optional<uint32_t> lasting_hole() const {
        const auto first = hole();
        for (int look = 1; first && look < kLooks; ++look) {
            if (hole() != first)
                return std::nullopt;
        }
        return first;
    }

    uint64_t bytes(uint32_t segment) const {
        struct stat st {};
        return ::stat(segment_path(first_, segment).c_str(), &st) == 0
                   ? static_cast<uint64_t>(st.st_size)
                   : 0;
    }

 private:
    bool has_pages_behind(uint32_t segment) const {
        for (uint32_t i = segment + 1; i <= last_; ++i) {
            if (bytes(i) > 0)
                return true;
        }
        return false;
    }
    // The relation is being dropped, or was until its file goes at the next checkpoint.
    bool is_dropped() const {
        struct stat st {};
        return ::stat(first_.c_str(), &st) == 0 && st.st_size == 0;
    }

    const std::string first_;
    const uint32_t last_;
    const uint64_t segment_bytes_;
};

}  // namespace

std::vector<CorruptPage> find_missing_segments(const FileList& files,
                                               const std::string& data_directory,
                                               uint32_t blocks_per_segment) {
    // Only relations of more than one segment: a few, whatever the number of files.
    std::map<std::string, uint32_t> last_of;
    for (size_t i = 0; i < files.size(); ++i) {
        const std::string path = files.path(i);
        const auto relation = parse_relation_path(path);
        if (!relation || relation->file.fork != Fork::main || relation->file.temporary ||
            relation->file.segment == 0)
            continue;
        uint32_t& last = last_of[path.substr(0, path.rfind('.'))];
        last = std::max(last, relation->file.segment);
    }
    std::vector<CorruptPage> out;
    const uint64_t segment_bytes = static_cast<uint64_t>(blocks_per_segment) * kPageBytes;
    for (const auto& [path, last] : last_of) {
        const Row row(data_directory + "/" + path, last, segment_bytes);
        const auto hole = row.lasting_hole();
        if (!hole)
            continue;
        const uint64_t bytes = row.bytes(*hole);
        out.push_back(
            {segment_path(path, *hole), *hole * uint64_t{blocks_per_segment} + bytes / kPageBytes,
             bytes == 0 ? "the segment file is missing or empty, although there are later ones"
                        : "the segment file is too short, although there are later ones"});
    }
    return out;
}

}  // namespace ark
