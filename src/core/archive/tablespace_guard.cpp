#include "core/archive/tablespace_guard.hpp"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/pgdata/wal_reader.hpp"

namespace ark {

namespace {

namespace fs = std::filesystem;

constexpr size_t kSmallFile = 65536;

// Of a record (src/include/access/xlogrecord.h, rmgrlist.h): where its header names its resource
// manager, and that of tablespaces.
constexpr size_t kRmidOffset = 17;
constexpr std::byte kRmTablespace{5};

std::optional<std::string> small_file(const std::string& path) {
    const auto content = read_file_if_exists(path, kSmallFile);
    return content ? std::optional(std::string(as_text(*content))) : std::nullopt;
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

// A backup_label says where replay begins until it has been read to its end; then pg_control does.
Lsn replay_start_of(const std::string& directory, const ControlFile& control) {
    constexpr std::string_view kStart = "START WAL LOCATION: ";
    const auto label = small_file(directory + "/backup_label");
    if (!label || !label->starts_with(kStart))
        return control.redo;
    const std::string_view rest = std::string_view(*label).substr(kStart.size());
    return parse_lsn(rest.substr(0, rest.find(' '))).value_or(0);
}

bool is_version_directory(const std::string& name, const std::string& major) {
    return name.starts_with("PG_" + major + "_");
}

// The first directory of this major version in a tablespace's location.
std::optional<fs::path> find_version_directory(const fs::path& location, const std::string& major) {
    std::error_code error;
    fs::directory_iterator entries(location, error);
    if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
        return std::nullopt;
    }
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
        if (is_version_directory(entries->path().filename().string(), major))
            return entries->path();
    }
    if (error) {
        throw system_error(error.value(), "could not read directory \"" + location.string() + "\"");
    }
    return std::nullopt;
}

// True when one of the data directory's own tablespaces is this very directory.
bool is_own_tablespace(const std::string& data_directory, const fs::path& location) {
    std::error_code error;
    fs::directory_iterator entries(data_directory + "/pg_tblspc", error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
        std::error_code ignored;
        if (fs::equivalent(entries->path(), location, ignored))
            return true;
    }
    return false;
}

// Reads a segment, and the next one for a record that goes on there and may matter.
class TablespaceScan {
 public:
    TablespaceScan(ByteView segment, uint64_t number,
                   const std::function<std::optional<Bytes>()>& following)
        : segment_(segment), number_(number), following_(following) {}

    void run(Lsn from, const std::function<void(const WalTablespaceCreate&)>& visit) {
        WalReader reader(segment_.size(), [this](uint64_t wanted) { return give(wanted); });
        const Lsn begin = number_ * segment_.size();
        reader.seek(std::max(from, begin));
        visit_all(reader, visit);
        if (!may_create_tablespace(reader.position()))
            return;
        next_ = following_();
        reader.seek(reader.position());
        visit_all(reader, visit);
    }

    TablespaceVerdict judge() {
        bool any = false;
        WalReader reader(segment_.size(), [this](uint64_t wanted) { return give(wanted); });
        reader.seek(number_ * segment_.size());
        visit_all(reader, [&](const WalTablespaceCreate&) { any = true; });
        if (reader.stop().kind != WalStopKind::missing_segment || any)
            return {};
        if (!may_create_tablespace(reader.position()))
            return {true, {}};
        return {false, cut_record(reader.position())};
    }

 private:
    std::optional<ByteView> give(uint64_t wanted) const {
        if (wanted == number_)
            return segment_;
        if (wanted == number_ + 1 && next_)
            return ByteView(*next_);
        return std::nullopt;
    }
    void visit_all(WalReader& reader,
                   const std::function<void(const WalTablespaceCreate&)>& visit) {
        for (auto record = reader.next(); record && record->lsn < end(); record = reader.next()) {
            if (const auto created = decode_tablespace_create(*record))
                visit(*created);
        }
    }
    Lsn end() const { return (number_ + 1) * segment_.size(); }

    // The record at `position`, which is in this segment.
    struct Place {
        uint64_t offset;
        uint64_t on_page;  ///< bytes from there to the page's end
    };
    Place place_of(Lsn position) const {
        const uint64_t page_size = decode_segment_facts(segment_).value().page_size;
        uint64_t offset = position % segment_.size();
        if (offset % page_size == 0)
            offset += decode_page_header(segment_.subspan(offset)).size();
        return {offset, page_size - offset % page_size};
    }

    // Whether the record that begins here and is not whole may be one; its header may be cut, too.
    bool may_create_tablespace(Lsn position) const {
        if (position / segment_.size() != number_)
            return false;
        const Place place = place_of(position);
        if (load<uint32_t>(segment_, place.offset) == 0)
            return false;
        return place.on_page <= kRmidOffset ||
               segment_[place.offset + kRmidOffset] == kRmTablespace;
    }

    std::optional<CutRecord> cut_record(Lsn position) const {
        const Place place = place_of(position);
        if (place.on_page > kRmidOffset || place.offset + place.on_page != segment_.size())
            return std::nullopt;
        return CutRecord{place.on_page, load<uint32_t>(segment_, place.offset)};
    }

    ByteView segment_;
    uint64_t number_;
    const std::function<std::optional<Bytes>()>& following_;
    std::optional<Bytes> next_;
};

}  // namespace

std::optional<RecoveringCluster> find_recovering_cluster(const std::string& directory) {
    const auto version = small_file(directory + "/PG_VERSION");
    if (!version || !File::open_if_exists(directory + "/global/pg_control", O_RDONLY)) {
        return std::nullopt;
    }
    const ControlFile control = read_control_file(directory);
    return RecoveringCluster{directory,
                             control.system_identifier,
                             first_line(*version),
                             replay_start_of(directory, control),
                             control.wal_segment_size,
                             replayed_by(control)};
}

void check_location_is_free(const RecoveringCluster& cluster, const std::string& location) {
    // In-place tablespaces have no location; a relative one is below the data directory.
    if (!location.starts_with('/'))
        return;
    const auto taken = find_version_directory(location, cluster.major_version);
    if (!taken || is_own_tablespace(cluster.data_directory, location))
        return;
    throw Error(
        ErrorCode::refused,
        "replay would create a tablespace in \"" + location +
            "\", where another cluster seems to have one",
        "Directory \"" + taken->string() +
            "\" exists and no tablespace of this data directory points to \"" + location +
            "\". Replaying CREATE TABLESPACE would remove it.",
        "Recover on a host where this path is free, or to a target before the tablespace was "
        "created. If no cluster uses the directory, move it away and start recovery again.");
}

void check_tablespaces_in(const RecoveringCluster& cluster, ByteView segment, uint64_t number,
                          const std::function<std::optional<Bytes>()>& following) {
    TablespaceScan scan(segment, number, following);
    scan.run(cluster.replay_start, [&](const WalTablespaceCreate& created) {
        check_location_is_free(cluster, created.location);
    });
}

TablespaceVerdict judge_tablespaces(ByteView segment, uint64_t number) {
    return TablespaceScan(segment, number, [] { return std::optional<Bytes>(); }).judge();
}

bool goes_on_without_tablespace(const CutRecord& cut, ByteView next_segment) {
    if (next_segment.size() < kEnoughOfNextSegment)
        return false;
    const WalPageHeader header = decode_page_header(next_segment);
    return header.continues() && !header.abandons() && header.is_long() &&
           cut.on_page <= kRmidOffset && header.remaining == cut.length - cut.on_page &&
           next_segment[header.size() + kRmidOffset - cut.on_page] != kRmTablespace;
}

}  // namespace ark
