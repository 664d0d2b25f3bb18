// libFuzzer's side of the targets. They are one program; the environment says which of them runs:
//
//   PG_ARK_FUZZ=list ark_fuzz                                  prints their names
//   PG_ARK_FUZZ=NAME PG_ARK_FUZZ_SEEDS=DIRECTORY ark_fuzz      writes the target's seeds there
//   PG_ARK_FUZZ=NAME ark_fuzz [CORPUS] [-flag=…]               libFuzzer's own command line
//
// A name in the environment stays with what libFuzzer starts itself (-jobs, -fork,
// -minimize_crash).

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/base/environment.hpp"
#include "core/base/file.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {

namespace {

std::map<std::string, const Target*>& targets() {
    static std::map<std::string, const Target*> all;
    return all;
}
const Target* chosen = nullptr;

void write_seeds(const std::string& directory) {
    int number = 0;
    for (const Bytes& seed : chosen->seeds()) {
        const std::string path = directory + "/seed-" + std::to_string(++number);
        File::open(path, O_WRONLY | O_CREAT | O_TRUNC).write_all(seed);
    }
}

}  // namespace

Target::Target(const char* name_in, Seeds seeds_in, Run run_in)
    : name(name_in), seeds(seeds_in), run(run_in) {
    targets()[name] = this;
}

void initialize() {
    const std::string name = environment("PG_ARK_FUZZ");
    if (name == "list") {
        for (const auto& [each, target] : targets())
            std::cout << each << "\n";
        std::cout.flush();
        std::_Exit(0);
    }
    const auto found = targets().find(name);
    if (found == targets().end()) {
        std::cerr << "PG_ARK_FUZZ names no target; \"list\" shows them\n";
        std::_Exit(2);
    }
    chosen = found->second;
    // What a host has for its own stores is none of an input's.
    for (const char* variable : {"HOME", "AWS_PROFILE", "AWS_CONFIG_FILE"})
        unsetenv(variable);
    if (const std::string directory = environment("PG_ARK_FUZZ_SEEDS"); !directory.empty()) {
        write_seeds(directory);
        std::_Exit(0);
    }
}

void run(ByteView input) {
    chosen->run(input);
}

}  // namespace ark::fuzz

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
    ark::fuzz::initialize();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ark::fuzz::run({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
