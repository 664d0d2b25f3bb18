#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/pgdata/control_file.hpp"
#include "core/repo/block_checksums.hpp"
#include "core/restore/file_lanes.hpp"
#include "core/restore/file_source.hpp"
#include "core/restore/layered_file.hpp"
#include "core/restore/layout.hpp"
#include "core/verify/packs.hpp"

namespace ark {

namespace {

/// What the lanes of check_files have found, and how far they are.
class FileDamage {
 public:
    explicit FileDamage(VerifyContext& context) : context_(context) {}

    /// `can_be_restored`: it is not the content.
    void add(const IndexEntry& entry, const Error& error, bool can_be_restored = false) {
        Finding finding = finding_of("pack", error);
        finding.object = context_.name_of(place::pack(context_.backup.backup_id, entry.pack));
        finding.path = entry.path;
        context_.damage.add(std::move(finding));
        if (can_be_restored)
            return;
        const std::lock_guard lock(mutex_);
        Files& files = files_[entry.pack];
        ++files.count;
        if (files.names.size() < kNamed)
            files.names.push_back(entry.path);
    }

    /// "3 files of the backup in it are damaged: …"; empty where none is.
    std::string describe(uint32_t pack) const {
        const auto found = files_.find(pack);
        if (found == files_.end())
            return "No file of the backup in it is damaged: it can be restored.";
        const Files& files = found->second;
        std::string text = std::to_string(files.count) +
                           (files.count == 1 ? " file of the backup in it is damaged: "
                                             : " files of the backup in it are damaged: ");
        for (size_t i = 0; i < files.names.size(); ++i)
            text += (i == 0 ? "\"" : ", \"") + files.names[i] + "\"";
        return text + (files.count > files.names.size() ? ", …." : ".");
    }

 private:
    static constexpr size_t kNamed = 3;
    struct Files {
        uint64_t count = 0;
        std::vector<std::string> names;  ///< the first few
    };

    VerifyContext& context_;
    std::mutex mutex_;
    std::map<uint32_t, Files> files_;
};

struct Counters {
    std::atomic<uint64_t> files = 0;
    std::atomic<uint64_t> bytes = 0;
};

/// Compares a file's checksums of blocks with its content.
class BlockCheck {
 public:
    BlockCheck(FileSource& source, const IndexEntry& entry)
        : source_(source), entry_(entry), block_bytes_(source.chain().tip().block_size) {}

    /// What a frame has of the content, in order.
    void add(ByteView piece) {
        if (entry_.block_checksums.empty() || !is_checksummed_size(block_bytes_))
            return;
        append_block_checksums(piece, block_bytes_, computed_);
        ++frames_;
        // They lie before the last frame, or behind it: the pack is read in order.
        if (frames_ < entry_.frames.size() &&
            entry_.block_checksums.front().offset < entry_.frames[frames_].offset)
            fetch();
    }

    /// After the last one: what is wrong with them.
    std::optional<Error> finish() {
        if (entry_.block_checksums.empty())
            return std::nullopt;
        fetch();
        if (!wrong_ && stored_ != computed_)
            wrong_ = damaged("They are not those of its content.");
        return wrong_;
    }

 private:
    void fetch() {
        if (std::exchange(fetched_, true))
            return;
        try {
            stored_ = source_.block_checksums(entry_, entry_.block_checksums);
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            wrong_ =
                damaged(error.message + "." + (error.detail.empty() ? "" : " ") + error.detail);
        }
    }

    Error damaged(const std::string& detail) const {
        return {ErrorCode::corrupt,
                "the checksums of the blocks of file \"" + entry_.path + "\" of backup " +
                    source_.chain().tip().backup_id + " are damaged",
                detail, "Don't use --delta to restore it. Take a full backup."};
    }

    FileSource& source_;
    const IndexEntry& entry_;
    const uint32_t block_bytes_;
    size_t frames_ = 0;
    bool fetched_ = false;
    std::vector<uint64_t> computed_;
    std::vector<uint64_t> stored_;
    std::optional<Error> wrong_;
};

class CheckingLane final : public FileLane {
 public:
    CheckingLane(VerifyContext& context, const std::set<uint32_t>& fresh, FileDamage& damage,
                 Counters& counters)
        : context_(context),
          fresh_(fresh),
          damage_(damage),
          counters_(counters),
          chain_{{context.backup}},
          source_(context.repository, chain_) {}

    void take(const FileWork& work, const std::function<bool()>& abandoned) override {
        if (fresh_.contains(work.pack))
            return;
        std::optional<Error> unusable;
        try {
            source_.open(work);
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            unusable = error;
        }
        for (const FileItem& item : work.files) {
            if (abandoned())
                return;
            const IndexEntry& entry = item.entry;
            if (unusable && !entry.frames.empty()) {
                damage_.add(entry, of_file(entry, *unusable));
            } else {
                check(entry);
            }
        }
    }

 private:
    void check(const IndexEntry& entry) {
        try {
            if (const auto wrong = read(entry)) {
                damage_.add(entry, *wrong, true);
            } else {
                ++counters_.files;
            }
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            damage_.add(entry, of_file(entry, error));
        }
    }

    // What is wrong besides the content, which is thrown.
    std::optional<Error> read(const IndexEntry& entry) {
        const bool is_control = entry.path == kControlPath;
        Bytes control;
        if (entry.incremental)
            check_sizes(context_.backup, entry);
        const Bytes header = header_of(entry, context_.backup.block_size);
        uint64_t done = 0;
        BlockCheck blocks(source_, entry);
        source_.read(entry, [&](ByteView piece) {
            if (done < header.size()) {
                const size_t n = std::min<uint64_t>(header.size() - done, piece.size());
                if (!std::ranges::equal(piece.first(n), ByteView(header).subspan(done, n)))
                    throw source_.damaged(entry, "list of blocks");
            }
            done += piece.size();
            blocks.add(piece);
            counters_.bytes += piece.size();
            context_.bytes += source_.fetched() - fetched_;
            fetched_ = source_.fetched();
            if (is_control && control.size() < kControlFileBytes)
                control.insert(control.end(), piece.begin(), piece.end());
        });
        if (is_control)
            check_control(control);
        return blocks.finish();
    }

    void check_control(ByteView bytes) const {
        const ControlFile control = parse_control_file(bytes);
        const uint64_t expected = context_.backup.system_identifier;
        if (control.system_identifier == expected)
            return;
        throw Error(ErrorCode::corrupt, "pg_control is of another cluster",
                    "Its system identifier is " + std::to_string(control.system_identifier) +
                        ", the backup's is " + std::to_string(expected) + ".",
                    "Restore another backup (\"pg_ark list\").");
    }

    // The message names the file, the detail what is wrong.
    Error of_file(const IndexEntry& entry, const Error& error) const {
        const std::string message =
            "file \"" + entry.path + "\" of backup " + context_.backup.backup_id + " is damaged";
        if (error.message == message)
            return error;
        return {error.code, message,
                error.message + "." + (error.detail.empty() ? "" : " " + error.detail), error.hint};
    }

    VerifyContext& context_;
    const std::set<uint32_t>& fresh_;
    FileDamage& damage_;
    Counters& counters_;
    const BackupChain chain_;  ///< the backup alone
    FileSource source_;
    uint64_t fetched_ = 0;
};

}  // namespace

FilesRead check_files(VerifyContext& context, const BadPacks& bad,
                      const std::set<uint32_t>& fresh) {
    FileDamage damage(context);
    Counters counters;
    FileLanes lanes(
        context.jobs,
        [&] { return std::make_unique<CheckingLane>(context, fresh, damage, counters); },
        context.tick);
    bool whole = true;
    try {
        push_files(context.repository, context.backup, lanes, [](const IndexEntry&) {});
    } catch (const Error& error) {
        // What a lane throws is no damage: those name it and go on.
        if (!is_damage(error))
            throw;
        whole = false;
        Finding finding = finding_of("index", error);
        finding.object = context.name_of(place::index(context.backup.backup_id));
        context.damage.add(std::move(finding));
    }
    lanes.finish();
    for (auto [number, finding] : bad) {
        if (whole)
            finding.detail += (finding.detail.empty() ? "" : " ") + damage.describe(number);
        context.damage.add(std::move(finding));
    }
    return {counters.files, counters.bytes};
}

}  // namespace ark
