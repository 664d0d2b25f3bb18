#include "core/verify/chain.hpp"

#include "core/repo/chain.hpp"

namespace ark {

std::vector<std::string> check_chain(VerifyContext& context, bool index_is_whole) {
    std::vector<std::string> ids;
    try {
        const BackupChain chain =
            load_chain(context.repository, context.backup.cluster, context.backup);
        for (size_t i = 1; i < chain.backups.size(); ++i)
            ids.push_back(chain.backups[i].backup_id);
        if (ids.empty() || !index_is_whole)
            return ids;
        ChainReader reader(context.repository, chain);
        while (reader.next())
            context.tick();
    } catch (const Error& error) {
        if (!is_damage(error))
            throw;
        Finding finding = finding_of("chain", error);
        finding.object = context.name_of(place::marker(context.backup.backup_id));
        context.damage.add(std::move(finding));
    }
    return ids;
}

}  // namespace ark
