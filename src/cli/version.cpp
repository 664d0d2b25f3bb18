#include <cstdio>
#include <memory>

#include <zstd.h>

#include "cli/command.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

void add_version_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand("version", "Print the versions");
    auto output = std::make_shared<OutputFormat>(OutputFormat::text);
    add_output_option(*command, *output);
    command->callback([output] {
        if (*output == OutputFormat::text) {
            std::printf("pg_ark %s\n", PG_ARK_VERSION);
            return;
        }
        const nlohmann::json object{{"version", PG_ARK_VERSION},
                                    {"protocol", 1},
                                    {"repository_format", 1},
                                    {"zstd", ZSTD_versionString()}};
        std::printf("%s\n", object.dump(2).c_str());
    });
}

}  // namespace ark
