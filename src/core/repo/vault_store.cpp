#include "core/repo/vault_store.hpp"

#include <utility>

#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

namespace {

bool is_encrypted_object(ByteView begin, const std::string& name) {
    return begins_with_header(begin) && parse_header(begin, name).header.is_encrypted();
}

Error plain_write(const std::string& name) {
    return {ErrorCode::internal, "object \"" + name + "\" would have been stored unencrypted"};
}

// An upload whose first bytes are looked at.
class CheckedUpload final : public Upload {
 public:
    CheckedUpload(std::unique_ptr<Upload> inner, std::string name)
        : inner_(std::move(inner)), name_(std::move(name)) {}

    void write(ByteView bytes) override {
        if (!checked_ && !is_encrypted_object(bytes, name_))
            throw plain_write(name_);
        checked_ = true;
        inner_->write(bytes);
    }
    PutResult finish() override {
        if (!checked_)
            throw plain_write(name_);
        return inner_->finish();
    }
    void cancel() noexcept override { inner_->cancel(); }

 private:
    std::unique_ptr<Upload> inner_;
    const std::string name_;
    bool checked_ = false;
};

class VaultStore final : public ObjectStore {
 public:
    VaultStore(std::unique_ptr<ObjectStore> inner, std::string cluster,
               std::shared_ptr<const Vault> vault)
        : inner_(std::move(inner)), cluster_(std::move(cluster)), vault_(std::move(vault)) {}

    std::shared_ptr<const Vault> vault(const std::string& cluster) const {
        return cluster == cluster_ ? vault_ : vault_of(*inner_, cluster);
    }

    PutResult put_if_absent(const std::string& name, ByteView content) override {
        if (must_be_encrypted(name) && !is_encrypted_object(content, name))
            throw plain_write(name);
        return inner_->put_if_absent(name, content);
    }
    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        std::unique_ptr<Upload> upload = inner_->start_upload(name);
        if (!must_be_encrypted(name))
            return upload;
        return std::make_unique<CheckedUpload>(std::move(upload), name);
    }
    bool creates_atomically() const override { return inner_->creates_atomically(); }
    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        return inner_->get(name, limit);
    }
    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        return inner_->get_range(name, offset, buffer);
    }
    std::optional<ObjectInfo> head(const std::string& name) override { return inner_->head(name); }
    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        inner_->list(prefix, visit);
    }
    std::vector<std::string> list_parts(const std::string& prefix) override {
        return inner_->list_parts(prefix);
    }
    void make_durable(const std::string& name) override { inner_->make_durable(name); }
    bool remove(const std::string& name) override { return inner_->remove(name); }
    uint64_t remove_temporaries(const std::string& prefix, UnixMicros before) override {
        return inner_->remove_temporaries(prefix, before);
    }
    std::optional<uint64_t> free_bytes() override { return inner_->free_bytes(); }
    std::optional<UnixMicros> as_of() const override { return inner_->as_of(); }
    StoreTraffic traffic() const override { return inner_->traffic(); }
    std::optional<int64_t> clock_skew() const override { return inner_->clock_skew(); }
    std::string url() const override { return inner_->url(); }

 private:
    bool must_be_encrypted(const std::string& name) const {
        return vault_->encrypts() && name.starts_with(cluster_ + "/") &&
               !name.starts_with(cluster_ + "/" + place::kKeys + "/");
    }

    const std::unique_ptr<ObjectStore> inner_;
    const std::string cluster_;
    const std::shared_ptr<const Vault> vault_;
};

}  // namespace

std::shared_ptr<const Vault> vault_of(const ObjectStore& store, const std::string& cluster) {
    const auto* held = dynamic_cast<const VaultStore*>(&store);
    return held == nullptr ? nullptr : held->vault(cluster);
}

bool only_writes(const ObjectStore& store, const std::string& cluster) {
    const std::shared_ptr<const Vault> vault = vault_of(store, cluster);
    return vault && !vault->can_read();
}

void refuse_without_key(const ObjectStore& store, const std::string& cluster,
                        const std::string& what) {
    if (!only_writes(store, cluster))
        return;
    throw Error(ErrorCode::invalid_key, what + " needs an encryption key",
                "This host has recipients alone: it writes backups and WAL and cannot read them.",
                "Do it on a host that has a key of the cluster: \"pg_ark\" takes it from "
                "--key-file or --key-command.");
}

std::unique_ptr<ObjectStore> with_vault(std::unique_ptr<ObjectStore> store,
                                        const std::string& cluster,
                                        std::shared_ptr<const Vault> vault) {
    return std::make_unique<VaultStore>(std::move(store), cluster, std::move(vault));
}

}  // namespace ark
