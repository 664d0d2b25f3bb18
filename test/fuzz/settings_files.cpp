#include <sys/mman.h>
#include <unistd.h>

#include "core/base/file.hpp"
#include "core/store/azure/azure_config.hpp"
#include "core/store/cloud/ini_file.hpp"
#include "core/store/gs/google_credentials.hpp"
#include "core/store/s3/credential_process.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"[default]\naws_access_key_id = a\n  nested = 1\n# c\n[profile b]\nx=y\n",
                     "[Credentials]\ngs_access_key_id = a\ngs_secret_access_key = s\n",
                     "[storage]\naccount = a\nkey = QUJD\nsas_token = ?sig=x\n",
                     "AccountName=a;AccountKey=QUJD;EndpointSuffix=core.windows.net",
                     "UseDevelopmentStorage=true", "/bin/tool --arg 'a b' \"c\\\"d\" e\\ f"});
}

// A file in memory; its path.
std::string file_of(ByteView content) {
    static const File file(memfd_create("fuzz", MFD_CLOEXEC), "memory");
    require(ftruncate(file.fd(), 0) == 0, "a file in memory can be emptied");
    const ssize_t n = pwrite(file.fd(), content.data(), content.size(), 0);
    require(n == static_cast<ssize_t>(content.size()), "and written");
    return "/proc/self/fd/" + std::to_string(file.fd());
}

void run(ByteView input) {
    const std::string path = file_of(input);
    const std::string text(as_text(input));
    answers([&] { return read_ini_file(path); });
    answers([&] { return read_azure_config(path); });
    answers([&] { return find_hmac_key({path, {}}); });
    answers([&] { return parse_connection_string(text); });
    answers([&] { return split_command(text); });
}

const Target target("settings_files", seeds, run);

}  // namespace
}  // namespace ark::fuzz
