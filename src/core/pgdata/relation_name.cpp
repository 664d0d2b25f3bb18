#include "core/pgdata/relation_name.hpp"

#include <array>
#include <charconv>

namespace ark {

namespace {

constexpr uint32_t kDefaultTablespace = 1663;  // src/include/catalog/pg_tablespace.dat
constexpr uint32_t kGlobalTablespace = 1664;
constexpr std::array<const char*, 4> kForkNames{"main", "fsm", "vm", "init"};

// The server writes decimal numbers without leading zeros; anything else is not its file.
std::optional<uint32_t> take_number(std::string_view& text) {
    if (text.empty() || text[0] < '1' || text[0] > '9')
        return std::nullopt;
    uint32_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc{})
        return std::nullopt;
    text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
    return value;
}

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

std::string_view take_part(std::string_view& path) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    return part;
}

std::optional<uint32_t> whole_number(std::string_view text) {
    const auto value = take_number(text);
    return text.empty() ? value : std::nullopt;
}

}  // namespace

const char* name_of(Fork fork) noexcept {
    return kForkNames[static_cast<size_t>(fork)];
}

std::optional<RelationFileName> parse_relation_file_name(std::string_view name) {
    RelationFileName out;
    if (take(name, "t")) {
        out.temporary = true;
        if (!take_number(name) || !take(name, "_"))
            return std::nullopt;
    }
    const auto filenode = take_number(name);
    if (!filenode)
        return std::nullopt;
    out.filenode = *filenode;
    if (take(name, "_fsm")) {
        out.fork = Fork::fsm;
    } else if (take(name, "_vm")) {
        out.fork = Fork::vm;
    } else if (take(name, "_init")) {
        out.fork = Fork::init;
    }
    if (take(name, ".")) {
        const auto segment = take_number(name);
        if (!segment)
            return std::nullopt;
        out.segment = *segment;
    }
    return name.empty() ? std::optional(out) : std::nullopt;
}

std::optional<RelationPath> parse_relation_path(std::string_view path) {
    RelationPath out;
    const std::string_view top = take_part(path);
    if (top == "global") {
        out.tablespace = kGlobalTablespace;
    } else if (top == "base" || top == "pg_tblspc") {
        out.tablespace = kDefaultTablespace;
        if (top == "pg_tblspc") {
            const auto tablespace = whole_number(take_part(path));
            if (!tablespace || !take_part(path).starts_with("PG_"))
                return std::nullopt;
            out.tablespace = *tablespace;
        }
        const auto database = whole_number(take_part(path));
        if (!database)
            return std::nullopt;
        out.database = *database;
    } else {
        return std::nullopt;
    }
    const auto file = parse_relation_file_name(path);
    if (!file)
        return std::nullopt;
    out.file = *file;
    return out;
}

}  // namespace ark
