#include "core/pgdata/config_text.hpp"

#include "core/pgdata/access_text.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"listen_addresses = 'a''b\\n\\101'  # c\nport=5432\ninclude 'x.conf'\n",
                     "include_dir \"a\"\"b\" # c", "host all all 127.0.0.1/32 trust"});
}

void run(ByteView input) {
    const std::string_view text = as_text(input);
    const std::string kept =
        edit_config(text, [](const ConfigLine&, std::string_view) { return std::nullopt; });
    require(kept == text, "what nobody edits stays");
    static_cast<void>(edit_config(text, [](const ConfigLine& parsed, std::string_view line) {
        require(!parsed.name.empty(), "a setting has a name");
        return commented_out(line, "why");
    }));
    static_cast<void>(parse_access_include(text));
    if (text.find('\0') == std::string_view::npos && text.find('\r') == std::string_view::npos) {
        const auto parsed = parse_config_line("a = " + quote_config_value(text));
        require(parsed && parsed->value == text, "a value survives");
    }
    static_cast<void>(quote_shell_word(text));
    static_cast<void>(shell_word(std::string(text)));
}

const Target target("config_text", seeds, run);

}  // namespace
}  // namespace ark::fuzz
