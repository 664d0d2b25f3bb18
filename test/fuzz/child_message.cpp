#include "cli/child/message.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"hello protocol=1 module=312e30", "start lsn=0/2000028 timeline=1 x=",
                     "push name=000000010000000000000001 path=2f61"});
}

void run(ByteView input) {
    const std::string_view line = as_text(input);
    answers([&] {
        const Message message = Message::parse(line.substr(0, line.find('\n')));
        const std::string text = message.format();
        require(Message::parse(std::string_view(text).substr(0, text.size() - 1)).format() == text,
                "a message survives");
        for (const char* key : {"protocol", "module", "lsn", "name", "path", "x"}) {
            answers([&] { return message.number(key); });
            answers([&] { return message.text(key); });
            answers([&] { return message.token_or(key, ""); });
        }
    });
}

const Target target("child_message", seeds, run);

}  // namespace
}  // namespace ark::fuzz
