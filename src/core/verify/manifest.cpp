#include "core/verify/manifest.hpp"

#include <nlohmann/json.hpp>

#include "core/base/crc32c.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/index.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/object_reader.hpp"

namespace ark {

namespace {

using nlohmann::json;

/// What manifest and index both say of a file.
struct FileFacts {
    std::string path;
    uint64_t size = 0;
    std::string crc;  ///< as the manifest writes it

    bool operator==(const FileFacts&) const = default;
};

FileFacts facts_of(const json& entry) {
    FileFacts facts;
    facts.path = entry.contains("Encoded-Path")
                     ? text_from_hex(member<std::string>(entry, "Encoded-Path"))
                     : member<std::string>(entry, "Path");
    facts.size = member<uint64_t>(entry, "Size");
    facts.crc = member<std::string>(entry, "Checksum");
    return facts;
}

// Files of which only one side has been seen yet. Adding is order-independent, and what both have
// cancels out: what remains is zero when, but for a collision, both have the same files.
class Unmatched {
 public:
    void add(const FileFacts& facts) { change(facts, true); }
    void subtract(const FileFacts& facts) { change(facts, false); }
    bool empty() const { return sum_ == std::array<uint64_t, 4>{}; }
    const std::string& first() const { return first_; }

 private:
    void change(const FileFacts& facts, bool plus) {
        if (first_.empty())
            first_ = facts.path;
        const std::string text = std::to_string(facts.size) + " " + facts.crc + " " + facts.path;
        const Bytes digest = from_hex(sha256_hex(as_bytes(text)));
        for (size_t i = 0; i < sum_.size(); ++i) {
            const auto part = load<uint64_t>(digest, i * sizeof(uint64_t));
            sum_[i] += plus ? part : 0 - part;
        }
    }

    std::array<uint64_t, 4> sum_{};
    std::string first_;
};

// The index's files, one after the other.
class IndexFiles {
 public:
    IndexFiles(Repository& repository, const BackupMarker& backup)
        : reader_(repository, backup.cluster, backup.backup_id, backup.index_sha256) {}

    std::optional<FileFacts> next() {
        while (const auto entry = reader_.next()) {
            if (entry->type == EntryType::file)
                return FileFacts{stored_path(*entry), entry->size,
                                 crc32c_manifest_text(entry->crc32c)};
        }
        return std::nullopt;
    }

 private:
    IndexReader reader_;
};

class ManifestCheck {
 public:
    ManifestCheck(VerifyContext& context, bool with_index)
        : context_(context),
          backup_(context.backup),
          object_(context.repository.store(), backup_.cluster, ObjectKind::manifest,
                  place::manifest(backup_.backup_id)) {
        if (with_index)
            index_.emplace(context.repository, backup_);
    }

    void run() {
        LineReader lines(object_);
        while (const auto line = lines.next()) {
            take(*line);
            context_.tick();
        }
        object_.check_digest(backup_.manifest_sha256);
        if (part_ != Part::end)
            throw object_.damaged("It has no checksum of its own at its end.");
        if (index_)
            compare_rest();
    }

 private:
    enum class Part { head, files, ranges, end };

    // The server, too, writes an entry a line.
    void take(std::string_view line) {
        constexpr std::string_view kChecksum = "\"Manifest-Checksum\": \"";
        if (line.starts_with(kChecksum)) {
            part_ = Part::end;
            const std::string_view digest = line.substr(kChecksum.size(), 64);
            if (digest != digest_.finish())
                throw object_.damaged("Its content does not match its own checksum.");
            return;
        }
        if (part_ == Part::end)
            throw object_.damaged("It goes on behind its checksum.");
        digest_.update(as_bytes(line));
        digest_.update(as_bytes("\n"));
        if (line == "\"Files\": [") {
            part_ = Part::files;
        } else if (line == "\"WAL-Ranges\": [") {
            part_ = Part::ranges;
        } else if (line.starts_with("{ ") && part_ != Part::head) {
            entry(line);
        }
    }

    void entry(std::string_view line) {
        if (line.ends_with(','))
            line.remove_suffix(1);
        with_parsed_json(line, object_.name(), [&](const json& parsed) {
            if (part_ == Part::files) {
                compare(facts_of(parsed));
            } else {
                check_range(parsed);
            }
        });
    }

    // Both are in path order as a rule: then nothing is ever unmatched.
    void compare(const FileFacts& facts) {
        if (!index_)
            return;
        const std::optional<FileFacts> expected = index_->next();
        if (expected == facts)
            return;
        unmatched_.add(facts);
        if (expected)
            unmatched_.subtract(*expected);
    }

    void compare_rest() {
        while (const auto expected = index_->next()) {
            unmatched_.subtract(*expected);
            context_.tick();
        }
        if (unmatched_.empty())
            return;
        throw Error(ErrorCode::corrupt,
                    "manifest and index of backup " + backup_.backup_id + " disagree",
                    "The first file that only one of them has, or that they describe differently, "
                    "is \"" +
                        unmatched_.first() + "\" or its neighbour.");
    }

    void check_range(const json& range) const {
        if (member<TimelineId>(range, "Timeline") == backup_.timeline &&
            parse_lsn(member<std::string>(range, "Start-LSN")) == backup_.start_lsn &&
            parse_lsn(member<std::string>(range, "End-LSN")) == backup_.stop_lsn) {
            return;
        }
        throw object_.damaged("The WAL that it names is not the one in the backup's marker.");
    }

    VerifyContext& context_;
    const BackupMarker& backup_;
    ObjectReader object_;
    std::optional<IndexFiles> index_;
    Part part_ = Part::head;
    Sha256 digest_;
    Unmatched unmatched_;
};

}  // namespace

void check_manifest(VerifyContext& context, bool index_is_whole) {
    try {
        ManifestCheck(context, index_is_whole).run();
    } catch (const Error& error) {
        if (!is_damage(error))
            throw;
        Finding finding = finding_of("manifest", error);
        finding.object = context.name_of(place::manifest(context.backup.backup_id));
        context.damage.add(std::move(finding));
    }
}

}  // namespace ark
