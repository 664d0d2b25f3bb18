#include "core/store/cloud/as_of_store.hpp"

#include <set>
#include <utility>

#include "core/base/error.hpp"
#include "core/store/cloud/versions_at.hpp"
#include "core/store/name.hpp"

namespace ark {

namespace {

class AsOfStore final : public ObjectStore {
 public:
    AsOfStore(CloudParts parts, std::unique_ptr<VersionApi> api, UnixMicros moment)
        : parts_(std::move(parts)),
          api_(std::move(api)),
          moment_(moment),
          versions_(*api_, *parts_.transport, moment, parts_.url.bucket) {}

    std::optional<UnixMicros> as_of() const override { return moment_; }

    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        const std::optional<BlobVersion> version = find(name);
        if (!version)
            return std::nullopt;
        HttpRequest request = api_->get(*version);
        request.limit = limit;
        return std::move(read(std::move(request), *version).body);
    }

    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        const std::optional<BlobVersion> version = find(name);
        if (!version) {
            throw Error(ErrorCode::not_found, "object \"" + parts_.url.bucket + "/" +
                                                  parts_.url.key_of(name) + "\" did not exist at " +
                                                  to_iso8601(moment_));
        }
        if (buffer.empty() || offset >= version->size)
            return 0;
        HttpRequest request = api_->get(*version);
        request.into = buffer;
        request.set_header("range", "bytes=" + std::to_string(offset) + "-" +
                                        std::to_string(offset + buffer.size() - 1));
        const HttpResponse response = read(std::move(request), *version);
        return response.status == 416 ? 0 : response.received;
    }

    std::optional<ObjectInfo> head(const std::string& name) override {
        const std::optional<BlobVersion> version = find(name);
        if (!version)
            return std::nullopt;
        return ObjectInfo{name, version->size, version->modified};
    }

    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        check_object_prefix(prefix);
        versions_.visit(parts_.url.directory_key(prefix), [&](const BlobVersion& version) {
            const std::optional<std::string> name = parts_.url.name_of(version.key);
            return VersionsAt::GoOn{!name ||
                                    visit(ObjectInfo{*name, version.size, version.modified})};
        });
    }

    std::vector<std::string> list_parts(const std::string& prefix) override {
        check_object_prefix(prefix);
        const std::string below = parts_.url.directory_key(prefix);
        std::set<std::string> parts;
        versions_.visit(below, [&](const BlobVersion& version) {
            const size_t end = version.key.find('/', below.size());
            const std::string part = version.key.substr(below.size(), end - below.size());
            if (is_object_name_part(part))
                parts.insert(part);
            return VersionsAt::GoOn{true, end == std::string::npos ? std::string() : below + part};
        });
        return {parts.begin(), parts.end()};
    }

    PutResult put_if_absent(const std::string& name, ByteView /*content*/) override {
        refuse("write", name);
    }
    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        refuse("write", name);
    }
    bool remove(const std::string& name) override { refuse("remove", name); }
    uint64_t remove_temporaries(const std::string& prefix, UnixMicros /*before*/) override {
        check_object_prefix(prefix);
        refuse("remove what is below", prefix);
    }

    std::optional<uint64_t> free_bytes() override { return std::nullopt; }
    StoreTraffic traffic() const override { return parts_.traffic(); }
    std::optional<int64_t> clock_skew() const override { return parts_.clock_skew(); }
    std::string url() const override { return parts_.url.text; }

 private:
    std::optional<BlobVersion> find(const std::string& name) {
        check_object_name(name);
        return versions_.find(parts_.url.key_of(name));
    }

    HttpResponse read(HttpRequest request, const BlobVersion& version) {
        request.wants_length = true;
        HttpResponse response = parts_.transport->perform(request);
        if (response.status != 404)
            return response;
        throw Error(ErrorCode::io_error,
                    "the version of object \"" + parts_.url.bucket + "/" + version.key +
                        "\" that was there at " + to_iso8601(moment_) + " has been removed",
                    "It was listed as \"" + version.id + "\" a moment ago.",
                    "Find out what removes versions of the bucket (a lifecycle rule?) and stop it "
                    "first.");
    }

    [[noreturn]] void refuse(const std::string& what, const std::string& name) const {
        if (!name.empty())
            check_object_name(name);
        throw Error(ErrorCode::refused, "could not " + what + " \"" + name + "\"",
                    "\"" + url() + "\" is read as it was at " + to_iso8601(moment_) +
                        ", and nothing is changed there.",
                    "Leave out --as-of-bucket-time.");
    }

    const CloudParts parts_;
    const std::unique_ptr<VersionApi> api_;
    const UnixMicros moment_;
    VersionsAt versions_;
};

}  // namespace

std::unique_ptr<ObjectStore> make_as_of_store(CloudParts parts,
                                              std::unique_ptr<VersionApi> versions,
                                              UnixMicros moment) {
    return std::make_unique<AsOfStore>(std::move(parts), std::move(versions), moment);
}

}  // namespace ark
