#include "core/store/cloud/cloud_store.hpp"

#include <algorithm>
#include <set>

#include "core/base/error.hpp"
#include "core/http/failure.hpp"
#include "core/store/cloud/cloud_upload.hpp"
#include "core/store/cloud/part_threads.hpp"
#include "core/store/name.hpp"

namespace ark {

namespace {

class CloudStore final : public ObjectStore {
 public:
    CloudStore(CloudParts parts, CloudOptions options)
        : parts_(std::move(parts)), options_(options), threads_(options.part_threads) {}

    PutResult put_if_absent(const std::string& name, ByteView content) override {
        check_object_name(name);
        return put(parts_.url.key_of(name), content, random_token());
    }

    bool creates_atomically() const override { return options_.create_if_absent; }

    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        check_object_name(name);
        UploadContext context{api(),
                              transport(),
                              threads_,
                              options_,
                              [this](const std::string& key, ByteView content,
                                     const std::string& token) { return put(key, content, token); },
                              [this](const std::string& key) { return token_at(key); }};
        return std::make_unique<CloudUpload>(std::move(context), parts_.url.key_of(name));
    }

    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        check_object_name(name);
        HttpRequest request = api().get(parts_.url.key_of(name));
        request.limit = limit;
        request.wants_length = true;
        HttpResponse response = transport().perform(request);
        if (response.status == 404)
            return std::nullopt;
        return std::move(response.body);
    }

    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        check_object_name(name);
        if (buffer.empty()) {
            if (!head(name))
                throw_absent(name);
            return 0;
        }
        HttpRequest request = api().get(parts_.url.key_of(name));
        request.into = buffer;
        request.wants_length = true;
        request.set_header("range", "bytes=" + std::to_string(offset) + "-" +
                                        std::to_string(offset + buffer.size() - 1));
        const HttpResponse response = transport().perform(request);
        if (response.status == 404)
            throw_absent(name);
        return response.status == 416 ? 0 : response.received;
    }

    std::optional<ObjectInfo> head(const std::string& name) override {
        check_object_name(name);
        const HttpResponse response = transport().perform(api().head(parts_.url.key_of(name)));
        if (response.status == 404)
            return std::nullopt;
        ObjectInfo info{name, 0, 0};
        info.size = std::strtoull(response.header_or("content-length", "0").c_str(), nullptr, 10);
        info.modified =
            parse_http_date(response.header_or("last-modified", "")).value_or(0) * 1000000;
        return info;
    }

    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        check_object_prefix(prefix);
        const std::string below = parts_.url.directory_key(prefix);
        for_each_page(below, false, [&](const BlobPage& page) {
            for (ObjectInfo object : page.objects) {
                const std::optional<std::string> name = parts_.url.name_of(object.name);
                if (!name)
                    continue;
                object.name = *name;
                if (!visit(object))
                    return false;
            }
            return true;
        });
    }

    std::vector<std::string> list_parts(const std::string& prefix) override {
        check_object_prefix(prefix);
        const std::string below = parts_.url.directory_key(prefix);
        std::set<std::string> parts;
        for_each_page(below, true, [&](const BlobPage& page) {
            for (const ObjectInfo& object : page.objects) {
                if (parts_.url.name_of(object.name))
                    parts.insert(object.name.substr(below.size()));
            }
            for (std::string directory : page.directories) {
                directory = directory.substr(below.size());
                if (directory.ends_with('/'))
                    directory.pop_back();
                if (is_object_name_part(directory))
                    parts.insert(directory);
            }
            return true;
        });
        return {parts.begin(), parts.end()};
    }

    bool remove(const std::string& name) override {
        check_object_name(name);
        // Most stores say the same whether it was there or not.
        if (!may_be_there(name))
            return false;
        const HttpResponse response = transport().perform(api().remove(parts_.url.key_of(name)));
        return response.status != 404 || response.maybe_done_before;
    }

    uint64_t remove_temporaries(const std::string& prefix, UnixMicros before) override {
        check_object_prefix(prefix);
        const std::string below = parts_.url.directory_key(prefix);
        uint64_t removed = 0;
        std::string from;
        do {
            std::string next;
            const HttpResponse response = transport().perform(api().list_uploads(below, from));
            for (const OpenUpload& upload : api().parse_uploads(response, next)) {
                if (upload.started >= before || !upload.key.starts_with(below))
                    continue;
                if (api().sweep_upload(upload, [this](const HttpRequest& request) {
                        return transport().perform(request);
                    }))
                    ++removed;
            }
            check_progress(from, next);
            from = next;
        } while (!from.empty());
        return removed;
    }

    std::optional<uint64_t> free_bytes() override { return std::nullopt; }
    StoreTraffic traffic() const override { return parts_.traffic(); }
    std::optional<int64_t> clock_skew() const override { return parts_.clock_skew(); }
    std::string url() const override { return parts_.url.text; }

 private:
    BlobApi& api() { return *parts_.api; }
    HttpTransport& transport() { return *parts_.transport; }

    PutResult put(const std::string& key, ByteView content, const std::string& token) {
        if (!options_.create_if_absent && token_at(key))
            return PutResult::exists;
        const HttpResponse response = transport().perform(api().put(key, content, token));
        if (response.ok()) {
            api().note_upload(response);
            return PutResult::created;
        }
        // It may be there by an earlier try of this very call, whose answer was lost. Not only
        // where we know of one: libcurl repeats a request by itself when a kept connection turns
        // out dead.
        return token_at(key) == token ? PutResult::created : PutResult::exists;
    }

    // The token in the object's metadata, empty where it has none; nullopt where there is no
    // object.
    std::optional<std::string> token_at(const std::string& key) {
        const HttpResponse response = transport().perform(api().head(key));
        if (response.status == 404)
            return std::nullopt;
        return api().token_of(response);
    }

    // Who may not look may remove all the same.
    bool may_be_there(const std::string& name) {
        try {
            return head(name).has_value();
        } catch (const HttpFailure& failure) {
            if (failure.failure != Failure::access_denied)
                throw;
            return true;
        }
    }

    [[noreturn]] void throw_absent(const std::string& name) {
        throw Error(ErrorCode::not_found, "object \"" + parts_.url.bucket + "/" +
                                              parts_.url.key_of(name) + "\" does not exist");
    }

    void for_each_page(const std::string& prefix, bool delimited,
                       const std::function<bool(const BlobPage&)>& visit) {
        std::string from;
        do {
            const BlobPage page =
                api().parse_list(transport().perform(api().list(prefix, delimited, from)));
            check_prefix(page, prefix);
            if (!visit(page))
                return;
            check_progress(from, page.next);
            from = page.next;
        } while (!from.empty());
    }

    // A listing that goes on where it was would do so for ever.
    static void check_progress(const std::string& from, const std::string& next) {
        if (!next.empty() && next == from)
            throw HttpFailure(Failure::malformed, "the store's listing does not go on");
    }

    static void check_prefix(const BlobPage& page, const std::string& prefix) {
        const bool ours =
            std::ranges::all_of(
                page.objects,
                [&](const auto& object) { return object.name.starts_with(prefix); }) &&
            std::ranges::all_of(page.directories,
                                [&](const auto& name) { return name.starts_with(prefix); });
        if (!ours)
            throw HttpFailure(Failure::malformed, "the store listed another place than asked for");
    }

    CloudParts parts_;
    const CloudOptions options_;
    PartThreads threads_;
};

}  // namespace

std::unique_ptr<ObjectStore> make_cloud_store(CloudParts parts, CloudOptions options) {
    return std::make_unique<CloudStore>(std::move(parts), options);
}

}  // namespace ark
