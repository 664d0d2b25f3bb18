#include "core/verify/chain.hpp"

#include <algorithm>
#include <optional>

#include "core/repo/chain.hpp"

namespace ark {

namespace {

// That an index was read for another backup says nothing of what this one needs of it: they are
// held against this backup's marker, not their own.
class Indexes {
 public:
    Indexes(VerifyContext& context, const BackupChain& chain) {
        for (const BackupMarker& backup : chain.backups)
            places_.push_back(place::index(backup.backup_id));
        if (context.freshness == nullptr)
            return;
        for (size_t i = 1; i < places_.size(); ++i)
            see(context, chain.backups[i].backup_id, places_[i]);
    }

    bool are_fresh(const VerifyContext& context) const {
        return std::ranges::all_of(
            places_, [&](const std::string& place) { return context.is_fresh(place); });
    }
    void skip(const VerifyContext& context) const {
        for (const std::string& place : places_)
            context.skip(place);
    }
    void read(const VerifyContext& context) const {
        for (const std::string& place : places_)
            context.read(place);
    }
    void are_unsettled(const VerifyContext& context) const {
        if (context.freshness == nullptr)
            return;
        for (const std::string& place : places_)
            context.freshness->is_unsettled(place);
    }

 private:
    static void see(const VerifyContext& context, const std::string& backup_id,
                    const std::string& index) {
        const std::string name = context.name_of(index);
        context.repository.store().list(context.name_of(place::backup(backup_id)),
                                        [&](const ObjectInfo& object) {
                                            if (object.name == name)
                                                context.freshness->see(index, object);
                                            return object.name < name;
                                        });
    }

    std::vector<std::string> places_;  ///< the backup's own first
};

}  // namespace

std::vector<std::string> check_chain(VerifyContext& context, bool index_is_whole) {
    std::vector<std::string> ids;
    std::optional<Indexes> indexes;
    try {
        const BackupChain chain =
            load_chain(context.repository, context.backup.cluster, context.backup);
        for (size_t i = 1; i < chain.backups.size(); ++i)
            ids.push_back(chain.backups[i].backup_id);
        if (ids.empty() || !index_is_whole)
            return ids;
        indexes.emplace(context, chain);
        if (indexes->are_fresh(context)) {
            indexes->skip(context);
            return ids;
        }
        indexes->read(context);
        ChainReader reader(context.repository, chain);
        while (reader.next())
            context.tick();
    } catch (const Error& error) {
        if (!is_damage(error))
            throw;
        if (indexes)
            indexes->are_unsettled(context);
        Finding finding = finding_of("chain", error);
        finding.object = context.name_of(place::marker(context.backup.backup_id));
        context.damage.add(std::move(finding));
    }
    return ids;
}

}  // namespace ark
