#include "core/drill/page_check.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>
#include <tuple>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/drill/map_check.hpp"

namespace ark {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxDamage = 1000;
constexpr size_t kReadBytes = 64 * kPageBytes;
constexpr int kPauseMillis = 50;

auto order_of(const RelationFile& f) {
    return std::tuple(f.place.tablespace, f.place.database, f.place.file.filenode,
                      f.place.file.fork, f.place.file.segment);
}

bool same_fork(const RelationFile& a, const RelationFile& b) {
    return a.place.tablespace == b.place.tablespace && a.place.database == b.place.database &&
           a.place.file.filenode == b.place.file.filenode && a.place.file.fork == b.place.file.fork;
}

class Lister {
 public:
    Lister(const std::string& root, Watch& watch) : root_(root), watch_(watch) {}

    std::vector<RelationFile> run() {
        add_directory("global");
        for (const std::string& database : directories_in("base"))
            add_directory(database);
        for (const std::string& tablespace : directories_in("pg_tblspc")) {
            for (const std::string& version : directories_in(tablespace)) {
                for (const std::string& database : directories_in(version))
                    add_directory(database);
            }
        }
        std::sort(files_.begin(), files_.end(),
                  [](const auto& a, const auto& b) { return order_of(a) < order_of(b); });
        return std::move(files_);
    }

 private:
    // Relative to the root; a link counts where it leads to a directory.
    std::vector<std::string> directories_in(const std::string& path) const {
        std::vector<std::string> out;
        for (const fs::directory_entry& entry : fs::directory_iterator(root_ + "/" + path)) {
            if (entry.is_directory())
                out.push_back(path + "/" + entry.path().filename().string());
        }
        return out;
    }

    void add_directory(const std::string& path) {
        for (const fs::directory_entry& entry : fs::directory_iterator(root_ + "/" + path)) {
            const std::string inside = path + "/" + entry.path().filename().string();
            const auto place = parse_relation_path(inside);
            if (place && !place->file.temporary && entry.is_regular_file())
                files_.push_back({inside, *place, entry.file_size()});
        }
        watch_.tick();
    }

    const std::string root_;
    Watch& watch_;
    std::vector<RelationFile> files_;
};

std::string in_words(const HintConflict& conflict) {
    const std::string row = "row " + std::to_string(conflict.item) + " says that transaction " +
                            std::to_string(conflict.xid) +
                            (conflict.of_deleter ? ", which deleted it, " : ", which made it, ");
    return row + (conflict.said_committed ? "has committed; the commit log says that it has not"
                                          : "has not committed; the commit log says that it has");
}

std::string segment_path(const RelationFile& file, uint32_t segment) {
    std::string base = file.path;
    if (file.place.file.segment > 0)
        base.resize(base.rfind('.'));
    return segment == 0 ? base : base + "." + std::to_string(segment);
}

// The lanes' shared state; each takes the next file.
class PageLanes {
 public:
    PageLanes(const PageCheckPlan& plan, const CommitLog& log,
              const std::vector<RelationFile>& files)
        : plan_(plan), log_(log), files_(files) {}

    void run(Watch& watch) {
        uint64_t total = 0;
        for (const RelationFile& file : files_)
            total += file.bytes;
        std::vector<std::jthread> threads;  // joined also where one of them cannot be started
        std::exception_ptr stopped;
        try {
            threads.reserve(static_cast<size_t>(plan_.jobs));
            for (int i = 0; i < plan_.jobs; ++i) {
                ++live_;
                threads.emplace_back([this] { work(); });
            }
            while (live_ > 0) {
                watch.at("", bytes_, total);
                watch.pause(kPauseMillis);
            }
        } catch (...) {
            stopped = std::current_exception();
            stop_ = true;
        }
        threads.clear();
        if (stopped)
            std::rethrow_exception(stopped);
        if (failure_)
            std::rethrow_exception(failure_);
    }

    PageCheck take_result() {
        result_.checked = checked_;
        for (auto* found : {&result_.damage, &result_.conflicts}) {
            std::sort(found->begin(), found->end(), [](const auto& a, const auto& b) {
                return std::tie(a.path, a.block) < std::tie(b.path, b.block);
            });
        }
        return std::move(result_);
    }

 private:
    void work() {
        try {
            Bytes buffer(kReadBytes);
            for (size_t i = next_++; i < files_.size() && !stop_; i = next_++)
                check(files_[i], buffer);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            failure_ = std::current_exception();
            stop_ = true;
        }
        --live_;
    }

    // What the pages of one file tell together.
    struct FileLook {
        MapCheck map;
        RowsSeen rows;
    };

    static bool is_users(const RelationFile& relation) {
        constexpr uint32_t kFirstNormalObjectId = 16384;
        return relation.place.file.filenode >= kFirstNormalObjectId;
    }

    std::optional<FileLook> look_at(const RelationFile& relation) const {
        if (relation.place.file.fork != Fork::main)
            return std::nullopt;
        return FileLook{
            MapCheck(VisibilityMap(plan_.data_directory + "/" + segment_path(relation, 0),
                                   plan_.blocks_per_segment, plan_.checksums)),
            {}};
    }

    void check(const RelationFile& relation, Bytes& buffer) {
        const File file = File::open(plan_.data_directory + "/" + relation.path, O_RDONLY);
        std::optional<FileLook> look = look_at(relation);
        ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_SEQUENTIAL);
        uint64_t block = uint64_t{relation.place.file.segment} * plan_.blocks_per_segment;
        for (uint64_t offset = 0; !stop_;) {
            const size_t size = file.pread_full(buffer, offset);
            for (size_t at = 0; at + kPageBytes <= size; at += kPageBytes, ++block)
                check_one(relation, ByteView(buffer).subspan(at, kPageBytes), block, look);
            offset += size;
            bytes_ += size;
            if (size < buffer.size())
                break;
        }
        if (look)
            add(relation, *look);
    }

    void add(const RelationFile& relation, const FileLook& look) {
        const std::vector<MapCheck::Conflict> conflicts = look.map.conflicts();
        const std::lock_guard lock(mutex_);
        for (const MapCheck::Conflict& conflict : conflicts) {
            if (result_.conflicts.size() < kMaxDamage)
                result_.conflicts.push_back({relation.path, relation.place, conflict.block, "heap",
                                             conflict.message, true});
        }
        if (is_users(relation))
            result_.rows[relation.place.relation()].add(look.rows);
    }

    void check_one(const RelationFile& relation, ByteView page, uint64_t block,
                   std::optional<FileLook>& look) {
        ++checked_;
        const PageState state = check_page(page, static_cast<uint32_t>(block));
        if (look && (state == PageState::valid || !plan_.checksums || state == PageState::empty))
            look->map.add(page, block);
        if (state == PageState::empty)
            return;
        if (state != PageState::valid && plan_.checksums) {
            if (look)
                look->rows.add_unreadable();
            const std::lock_guard lock(mutex_);
            ++result_.corrupt;
            if (result_.damage.size() < kMaxDamage)
                result_.damage.push_back({relation.path, relation.place, block, "page",
                                          state == PageState::bad_header
                                              ? "the page has an invalid header"
                                              : "the page does not match its checksum"});
            return;
        }
        if (!look)
            return;
        if (is_users(relation))
            look->rows.add_page(page);
        const auto conflict = find_hint_conflict(page, [&](uint32_t xid) { return ended(xid); });
        if (!conflict)
            return;
        const std::lock_guard lock(mutex_);
        if (result_.conflicts.size() < kMaxDamage)
            result_.conflicts.push_back(
                {relation.path, relation.place, block, "commit_log", in_words(*conflict), true});
    }

    std::optional<bool> ended(uint32_t xid) const {
        const auto status = log_.status(xid);
        if (!status || status == XactStatus::sub_committed)
            return std::nullopt;
        return status == XactStatus::committed;
    }

    const PageCheckPlan& plan_;
    const CommitLog& log_;
    const std::vector<RelationFile>& files_;
    std::atomic<size_t> next_ = 0;
    std::atomic<uint64_t> checked_ = 0;
    std::atomic<uint64_t> bytes_ = 0;
    std::atomic<int> live_ = 0;
    std::atomic<bool> stop_ = false;
    std::mutex mutex_;
    PageCheck result_;            // under mutex_
    std::exception_ptr failure_;  // under mutex_
};

// One fork's files; what was truncated leaves files of no length behind the last.
class ForkCheck {
 public:
    ForkCheck(uint64_t segment_bytes, std::vector<FileDamage>& out)
        : segment_bytes_(segment_bytes), out_(out) {}

    void check(const RelationFile* begin, const RelationFile* end) {
        while (end != begin && (end - 1)->bytes == 0 && (end - 1)->place.file.segment > 0)
            --end;
        uint32_t expected = 0;
        for (const RelationFile* file = begin; file != end; ++file, ++expected) {
            for (; expected < file->place.file.segment; ++expected)
                missing(*file, expected);
            if (file + 1 != end && file->bytes != segment_bytes_)
                add(*file, file->path, "the segment file is too short: others follow it");
            else if (file->bytes % kPageBytes != 0)
                add(*file, file->path, "the file's size is not a multiple of a page");
        }
    }

 private:
    void missing(const RelationFile& next, uint32_t segment) {
        add(next, segment_path(next, segment), "the segment file is missing: others follow it");
    }
    void add(const RelationFile& file, const std::string& path, const char* message) {
        if (out_.size() < kMaxDamage)
            out_.push_back({path, file.place, std::nullopt, "catalog", message});
    }

    const uint64_t segment_bytes_;
    std::vector<FileDamage>& out_;
};

}  // namespace

void RowsSeen::add(const RowsSeen& other) {
    nulls.add(other.nulls);
    visible = visible && other.visible ? std::optional(*visible + *other.visible) : std::nullopt;
}

void RowsSeen::add_page(ByteView page) {
    nulls.add(page);
    const auto rows = count_rows(page);
    if (!visible || !rows || (*rows > 0 && !is_marked_all_visible(page)))
        visible.reset();
    else
        *visible += *rows;
}

void RowsSeen::add_unreadable() {
    nulls.add_unreadable();
    visible.reset();
}

std::vector<RelationFile> list_relation_files(const std::string& data_directory, Watch& watch) {
    try {
        return Lister(data_directory, watch).run();
    } catch (const fs::filesystem_error& error) {
        throw system_error(error.code().value(),
                           "could not list \"" + error.path1().string() + "\"");
    }
}

std::vector<FileDamage> find_holes(const std::vector<RelationFile>& files,
                                   uint32_t blocks_per_segment) {
    std::vector<FileDamage> out;
    ForkCheck check(static_cast<uint64_t>(blocks_per_segment) * kPageBytes, out);
    for (size_t begin = 0; begin < files.size();) {
        size_t end = begin + 1;
        while (end < files.size() && same_fork(files[begin], files[end]))
            ++end;
        check.check(&files[begin], files.data() + end);
        begin = end;
    }
    return out;
}

PageCheck check_pages(const PageCheckPlan& plan, const CommitLog& log,
                      const std::vector<RelationFile>& files, Watch& watch) {
    PageLanes lanes(plan, log, files);
    lanes.run(watch);
    return lanes.take_result();
}

}  // namespace ark
