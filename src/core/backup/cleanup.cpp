#include "core/backup/cleanup.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <vector>

#include "core/base/error.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/object.hpp"
#include "core/repo/probe.hpp"

namespace ark {

namespace {

// Nothing for an object that is gone; a writer of no name where the object says nothing about it.
std::optional<Writer> writer_of(ObjectStore& store, const std::string& name) {
    try {
        const std::optional<ObjectHeader> header = read_header(store, name);
        return header ? std::optional(header->writer) : std::nullopt;
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt && error.code != ErrorCode::unsupported)
            throw;
        return Writer{};
    }
}

std::vector<ObjectInfo> objects_below(ObjectStore& store, const std::string& prefix) {
    std::vector<ObjectInfo> out;
    store.list(prefix, [&](const ObjectInfo& object) {
        out.push_back(object);
        return true;
    });
    return out;
}

// Where somebody else wrote one of them: who.
std::string another_writer(ObjectStore& store, const std::vector<ObjectInfo>& objects,
                           const Writer& self) {
    for (const ObjectInfo& object : objects) {
        const std::optional<Writer> writer = writer_of(store, object.name);
        if (!writer || same_data_directory(*writer, self))
            continue;
        return "\"" + object.name + "\" " +
               (writer->host.empty() ? "does not say who wrote it"
                                     : "was written by " + describe(*writer));
    }
    return {};
}

// What was written before this moment of the store's own clock is dead.
UnixMicros end_of_the_dead(Repository& repository) {
    return store_time(repository) - kDeadAfterMicros;
}

bool is_dead(const std::vector<ObjectInfo>& objects, UnixMicros end) {
    return std::ranges::all_of(objects,
                               [end](const ObjectInfo& object) { return object.modified < end; });
}

// Removes, until it is told that it may not; counts from there on.
class Remover {
 public:
    explicit Remover(ObjectStore& store) : store_(store) {}

    void remove(const std::string& name) {
        attempt([&] { removed_ += store_.remove(name) ? 1 : 0; });
    }
    void remove_all(const std::vector<ObjectInfo>& objects, const std::string& marker) {
        const uint64_t before = removed_;
        for (const ObjectInfo& object : objects)
            remove(object.name);
        // Where the writer was alive after all its marker may have come meanwhile: it must not
        // stand for what has just been removed.
        if (removed_ > before)
            attempt([&] { removed_ += store_.remove(marker) ? 1 : 0; });
    }
    void remove_temporaries(const std::string& prefix, UnixMicros before) {
        removed_ += store_.remove_temporaries(prefix, before);
    }

    CleanupResult result() const {
        CleanupResult out{removed_, {}};
        if (stay_ > 0)
            out.kept = "the right to remove objects is missing, " + std::to_string(stay_) +
                       (stay_ == 1 ? " stays: " : " stay: ") + reason_;
        return out;
    }

 private:
    template <typename Task>
    void attempt(const Task& task) {
        if (stay_ > 0) {
            ++stay_;
            return;
        }
        try {
            task();
        } catch (const Error& error) {
            if (error.code != ErrorCode::permission_denied)
                throw;
            ++stay_;
            reason_ = error.message;
        }
    }

    ObjectStore& store_;
    uint64_t removed_ = 0;
    uint64_t stay_ = 0;
    std::string reason_;
};

// What is left of a failed full backup, and another builds on.
bool is_link_of_a_chain(Repository& repository, const std::string& cluster,
                        const std::string& backup_id) {
    try {
        const auto marker = find_chain_link(repository, cluster, backup_id);
        return marker && marker->type == kTypeUnfinished;
    } catch (const Error& error) {
        if (error.code != ErrorCode::invalid_key && error.code != ErrorCode::corrupt)
            throw;
        return false;
    }
}

// Takes packs that are described, their descriptions, and what the next backup may be making of
// them at this moment, out of the list; whether there are any.
bool leave_what_is_of_use(std::vector<ObjectInfo>& objects) {
    const auto name_of = [](const ObjectInfo& object) {
        return std::string_view(object.name).substr(object.name.rfind('/') + 1);
    };
    std::set<uint32_t> described;
    for (const ObjectInfo& object : objects) {
        if (const auto number = place::parse_part(name_of(object)))
            described.insert(*number);
    }
    if (described.empty())
        return false;
    std::erase_if(objects, [&](const ObjectInfo& object) {
        const auto pack = place::parse_pack(name_of(object));
        return pack ? described.contains(*pack) : true;
    });
    return true;
}

}  // namespace

CleanupResult remove_unfinished_backup(Repository& repository, const std::string& cluster,
                                       const std::string& backup_id,
                                       const std::string& data_directory) {
    CleanupResult result;
    if (!is_valid_name_part(backup_id)) {
        throw Error(ErrorCode::invalid_argument, "invalid backup id \"" + backup_id + "\"");
    }
    ObjectStore& store = repository.store();
    const std::string marker = cluster + "/" + place::marker(backup_id);
    if (store.head(marker)) {
        if (!is_link_of_a_chain(repository, cluster, backup_id))
            result.kept = "the backup has its marker: it is complete";
        return result;
    }
    const std::string prefix = cluster + "/" + place::backup(backup_id);
    std::vector<ObjectInfo> objects = objects_below(store, prefix);
    if (objects.empty())
        return result;  // what uploads there are nobody can tell the writer of
    const std::string other = another_writer(store, objects, make_writer(data_directory));
    // A backup's first pack is whole before any upload begins: who wrote it began them all, and
    // where that was this directory he has ended.
    UnixMicros end = std::numeric_limits<UnixMicros>::max();
    if (!other.empty()) {
        end = end_of_the_dead(repository);
        if (!is_dead(objects, end)) {
            result.kept =
                other + "; it is removed when nothing has been written there for 25 hours";
            return result;
        }
    }
    Remover remover(store);
    if (other.empty() && leave_what_is_of_use(objects)) {
        for (const ObjectInfo& object : objects)
            remover.remove(object.name);
        return remover.result();
    }
    remover.remove_all(objects, marker);
    remover.remove_temporaries(prefix, end);
    return remover.result();
}

CleanupResult remove_abandoned(Repository& repository, const std::string& cluster) {
    ObjectStore& store = repository.store();
    const UnixMicros end = end_of_the_dead(repository);
    Remover remover(store);
    // The listing finds candidates; that there is no marker the store is asked by name.
    for (const std::string& id : store.list_parts(cluster + "/backup")) {
        const std::string marker = cluster + "/" + place::marker(id);
        if (store.head(marker))
            continue;
        const std::vector<ObjectInfo> objects =
            objects_below(store, cluster + "/" + place::backup(id));
        if (is_dead(objects, end))
            remover.remove_all(objects, marker);
    }
    for (const ObjectInfo& object : objects_below(store, kProbeDirectory)) {
        if (object.modified < end)
            remover.remove(object.name);
    }
    for (const std::string& prefix : {cluster, std::string(kProbeDirectory)})
        remover.remove_temporaries(prefix, end);
    return remover.result();
}

}  // namespace ark
