#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/pipeline/tar_writer.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault.hpp"
#include "core/verify/job.hpp"
#include "test/support/fake_cluster.hpp"
#include "test/support/store_decorator.hpp"
#include "test/unit/restore/stored_backup.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark::test {

/// Not compressible, different for each seed.
inline std::string noise(size_t size, uint32_t seed) {
    std::string out(size, '\0');
    for (char& c : out) {
        seed = seed * 1664525 + 1013904223;
        c = static_cast<char>(seed >> 24);
    }
    return out;
}

/// A whole backup with four segments of WAL, in memory; and what a verification says of it.
class VerifiedBackup : public VerifyListener {
 public:
    static constexpr uint64_t kFirst = 32;  ///< the segment of StoredBackup's LSNs
    static constexpr uint64_t kLast = 35;

    VerifiedBackup() : backup(*repository), wal(kFirst) {
        BackupMarker& m = backup.marker;
        m.system_identifier = WalBuilder::kSystemIdentifier;
        m.wal_segment_size = WalBuilder::kSegmentSize;
        m.start_lsn = 0x2000028;
        m.stop_lsn = 0x2000100;
        m.start_segment = m.stop_segment = WalBuilder::name(kFirst);
        m.has_config_archive = true;
        backup.files["global/pg_control"] =
            std::string(as_text(make_control_file(m.system_identifier)));
        backup.files["base/1/1000"] = "";
        backup.files["base/1/1001"] = noise(100000, 1);
        backup.files["base/1/1002"] = noise(3 << 20, 2);
        backup.files["base/1/na\xFFme"] = "not UTF-8";
        while (wal.position() < (kLast + 1) * WalBuilder::kSegmentSize)
            wal.fill_segment();
    }

    /// From here on everything is encrypted; before store().
    void encrypt() {
        const SecretBytes secret(32, std::byte{7});
        encrypt(std::make_shared<const OpenKeyring>(
            OpenKeyring::make(backup.marker.cluster, {KeySecret::Type::key, secret})));
    }
    void encrypt(std::shared_ptr<const OpenKeyring> with) {
        keyring = std::move(with);
        vault = std::make_shared<const Vault>(keyring);
        repository->use_vault(backup.marker.cluster, vault);
    }

    /// Everything into the repository.
    void store() {
        backup.store();
        put_config();
        for (uint64_t n = kFirst; n <= kLast; ++n)
            put_segment(WalBuilder::name(n), wal.segment(n));
        put_marker();
    }
    void put_marker() {
        const std::string text = to_json(backup.marker);
        if (vault) {
            put_object(ObjectKind::marker, place::marker(backup.marker.backup_id), as_bytes(text));
        } else {
            put(marker_name(), as_bytes(text));
        }
    }
    void put_segment(const std::string& segment, ByteView bytes) {
        put_object(ObjectKind::wal, place::segment(segment), bytes);
    }
    void put_object(ObjectKind kind, const std::string& place, ByteView bytes) {
        put(name_of(place), sealed(kind, place, bytes, vault.get()));
    }
    /// As an object; encrypted where there is a vault.
    static Bytes sealed(ObjectKind kind, const std::string& place, ByteView bytes,
                        const Vault* with) {
        ObjectSealer sealer(1);
        const ByteView out = sealer.seal(
            {kind, place, kCipherNone, bytes.size(), content_hash(bytes), {}}, bytes, with);
        return {out.begin(), out.end()};
    }
    void put(const std::string& name, ByteView content) {
        base->remove(name);
        base->put_if_absent(name, content);
    }

    std::string name_of(const std::string& place) const {
        return backup.marker.cluster + "/" + place;
    }
    std::string marker_name() const { return name_of(place::marker(backup.marker.backup_id)); }
    std::string segment_name(const std::string& segment) const {
        return name_of(place::segment(segment));
    }
    Bytes bytes_of(const std::string& name) { return base->get(name, 1 << 30).value(); }
    void flip(const std::string& name, double where) {
        Bytes content = bytes_of(name);
        content[static_cast<size_t>(static_cast<double>(content.size()) * where)] ^= std::byte{1};
        put(name, content);
    }

    Evidence verify() {
        VerifyRequest request;
        request.cluster = backup.marker.cluster;
        request.backup_id = backup.marker.backup_id;
        request.patience_millis = patience;
        request.freshness_seconds = freshness;
        return verify_backup(*repository, request, *this);
    }
    void progress(const VerifyProgress& p) override {
        if (on_progress)
            on_progress(p);
        last = p;
    }

    std::shared_ptr<ObjectStore> base = make_memory_store();
    std::function<void(const std::string& call, const std::string& name)> before_call;
    StoreDecorator* decorator = nullptr;  ///< the repository's
    std::unique_ptr<Repository> repository = Repository::open(decorated(), OpenMode::create);
    std::shared_ptr<const OpenKeyring> keyring;
    std::shared_ptr<const Vault> vault;
    StoredBackup backup;
    WalBuilder wal;
    int patience = 0;
    int64_t freshness = 0;  ///< seconds
    std::function<void(const VerifyProgress&)> on_progress;
    VerifyProgress last;

 private:
    std::unique_ptr<ObjectStore> decorated() {
        auto store = std::make_unique<StoreDecorator>(
            base, [this](const std::string& call, const std::string& name) {
                if (before_call)
                    before_call(call, name);
            });
        decorator = store.get();
        return store;
    }
    void put_config() {
        Bytes archive = tar_file_header("etc/postgresql.conf", 5, 0600, 0);
        const ByteView text = as_bytes("x = 1");
        archive.insert(archive.end(), text.begin(), text.end());
        archive.resize(archive.size() + tar_padding(5) + tar_end().size());
        put_object(ObjectKind::config, place::config(backup.marker.backup_id), archive);
    }
};

/// The findings, one a line: "check object path".
inline std::string findings_of(const Evidence& evidence) {
    std::string text;
    for (const Finding& f : evidence.errors.kept)
        text += f.check + " " + f.object + (f.path.empty() ? "" : " " + f.path) + "\n";
    return text;
}

}  // namespace ark::test
