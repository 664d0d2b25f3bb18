#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/pipeline/content_hash.hpp"
#include "core/repo/object.hpp"
#include "core/repo/stored_keyring.hpp"
#include "core/repo/stored_segments.hpp"
#include "core/store/name.hpp"
#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"00000001000000A000000002", "00000002.history",
                     "000000010000000000000002.partial", "000000010000000000000002.00000028.backup",
                     "A/BCDEF012", "16384_fsm.1", "pg_tblspc/16400/PG_15_202209061/5/t3_16384",
                     "base/5/1259", "0123456789abcdef0123456789ABCDEF",
                     "wal/00000001/00000000/000000010000000000000001.zst",
                     "tail/00000001/000000010000000000000001/00000000.zst", "keys/12.json"});
}

// Listings of a repository in which the object has this name.
void list(const std::string& name) {
    const auto repository = empty_repository();
    if (!answers([&] { return repository->store().put_if_absent(kCluster + "/" + name, {}); }))
        return;
    answers([&] {
        find_stored_segments(*repository, {kCluster, 1, 1 << 20, 0}, [](uint64_t) { return true; });
        return first_stored_segment(*repository, {kCluster, 1, 1 << 20, 0});
    });
    answers([&] { return find_keyring(repository->store(), kCluster); });
}

void run(ByteView input) {
    const std::string text(as_text(input));
    if (const auto name = parse_wal_file_name(text)) {
        static_cast<void>(name->segment_number(16 << 20));
        require(name->kind != WalFileKind::history || history_name(name->timeline) == text,
                "a history's name survives");
    }
    if (const auto lsn = parse_lsn(text))
        require(parse_lsn(to_text(*lsn)) == lsn, "an LSN survives");
    static_cast<void>(parse_relation_file_name(text));
    static_cast<void>(parse_relation_path(text));
    answers([&] {
        const Hash128 hash = parse_hash128(text);
        require(parse_hash128(to_text(hash)) == hash, "a hash survives");
    });
    answers(
        [&] { require(to_hex(from_hex(text)).size() == text.size(), "bytes have two digits"); });
    static_cast<void>(is_utf8(text));
    static_cast<void>(is_key_id(text));
    answers([&] { check_object_name(text); });
    list(text);
}

const Target target("names", seeds, run);

}  // namespace
}  // namespace ark::fuzz
