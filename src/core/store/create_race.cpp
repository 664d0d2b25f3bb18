#include "core/store/create_race.hpp"

#include <algorithm>
#include <exception>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace ark {

namespace {

struct Racer {
    std::string content;
    PutResult result = PutResult::exists;
    std::exception_ptr error;
};

void run(Racer& racer, ObjectStore& store, const std::string& name,
         const std::shared_future<void>& start) {
    start.wait();
    try {
        racer.result = store.put_if_absent(name, as_bytes(racer.content));
    } catch (...) {
        racer.error = std::current_exception();
    }
}

}  // namespace

RaceResult race_to_create(ObjectStore& store, const std::string& name, int writers) {
    std::vector<Racer> racers(static_cast<size_t>(writers));
    std::promise<void> gun;
    const std::shared_future<void> start = gun.get_future().share();
    std::vector<std::jthread> threads;
    threads.reserve(racers.size());
    try {
        for (size_t i = 0; i < racers.size(); ++i) {
            racers[i].content = "writer " + std::to_string(i) + "\n";
            threads.emplace_back([&, i] { run(racers[i], store, name, start); });
        }
    } catch (...) {
        gun.set_value();  // those that wait would do so for ever
        throw;
    }
    gun.set_value();
    threads.clear();
    RaceResult out;
    const Racer* winner = nullptr;
    for (const Racer& racer : racers) {
        if (racer.error)
            std::rethrow_exception(racer.error);
        if (racer.result == PutResult::created) {
            ++out.winners;
            winner = &racer;
        }
    }
    const std::optional<Bytes> there = store.get(name, 64);
    out.is_kept =
        out.winners == 1 && there && std::ranges::equal(*there, as_bytes(winner->content));
    return out;
}

}  // namespace ark
