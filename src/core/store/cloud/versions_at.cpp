#include "core/store/cloud/versions_at.hpp"

#include <utility>

#include "core/base/error.hpp"
#include "core/http/failure.hpp"

namespace ark {

namespace {

// So many keys of a directory are asked for one by one.
constexpr size_t kOneByOne = 2;
// Memory does not grow with the repository.
constexpr size_t kDirectories = 64;
// Behind every character that our names have.
constexpr const char* kBehindAll = "/~";

HttpFailure malformed(const std::string& detail) {
    return {Failure::malformed, "the store's listing of versions is none", detail};
}

}  // namespace

struct VersionsAt::Directory {
    std::mutex mutex;
    bool is_whole = false;
    std::map<std::string, std::optional<BlobVersion>> keys;
};

// One listing, page by page.
class VersionsAt::Scan {
 public:
    using Visit = std::function<GoOn(const BlobVersion&)>;

    enum class Extent {
        key,        ///< the prefix is a key, and all that is wanted
        directory,  ///< nothing behind a further slash
        all,
    };

    Scan(VersionsAt& at, std::string prefix, Extent extent)
        : at_(at), prefix_(std::move(prefix)), extent_(extent) {}

    void run(const Visit& visit) {
        std::optional<VersionPlace> from = VersionPlace{};
        while (from) {
            const VersionPage page = ask(*from);
            for (const BlobVersion& version : page.versions) {
                if (!take(version, visit))
                    return;
            }
            if (page.next && (*page.next == *from || page.next->key < from->key))
                throw malformed("It does not go on.");
            from = page.next;
            if (from && from->key < behind_)
                from = VersionPlace{behind_, {}};
        }
        tell(visit);
    }

 private:
    VersionPage ask(const VersionPlace& from) {
        const HttpRequest request = at_.api_.list(prefix_, extent_ == Extent::directory, from);
        try {
            return at_.api_.parse_list(at_.transport_.perform(request));
        } catch (HttpFailure& failure) {
            if (failure.failure == Failure::access_denied)
                failure.hint =
                    "To read the past takes the rights s3:ListBucketVersions and "
                    "s3:GetObjectVersion, which a server's own credentials need not have: use "
                    "others.";
            throw;
        }
    }

    bool take(const BlobVersion& version, const Visit& visit) {
        if (!version.key.starts_with(prefix_))
            throw malformed("It is of another place than asked for.");
        if (version.key < key_)
            throw malformed("Its names are not in order.");
        if (version.key != key_) {
            if (!tell(visit) || (extent_ == Extent::key && version.key != prefix_))
                return false;
            key_ = version.key;
        }
        const bool counts = version.modified <= at_.moment_ && version.key >= behind_;
        if (counts && (!chosen_ || chosen_->modified < version.modified))
            chosen_ = version;
        return true;
    }

    // All versions of a key have been seen.
    bool tell(const Visit& visit) {
        const std::optional<BlobVersion> object = std::exchange(chosen_, std::nullopt);
        if (!object || object->is_deletion)
            return true;
        const GoOn wish = visit(*object);
        if (!wish.behind.empty())
            behind_ = wish.behind + kBehindAll;
        return wish.goes_on;
    }

    VersionsAt& at_;
    const std::string prefix_;
    const Extent extent_;
    std::string key_;                    ///< whose versions are coming
    std::optional<BlobVersion> chosen_;  ///< of them
    std::string behind_;                 ///< nobody wants what comes before it
};

VersionsAt::VersionsAt(VersionApi& api, HttpTransport& transport, UnixMicros moment,
                       std::string bucket)
    : api_(api), transport_(transport), moment_(moment), bucket_(std::move(bucket)) {}

VersionsAt::~VersionsAt() = default;

// Where none are kept an object that was overwritten would seem never to have been there.
void VersionsAt::require_versions() {
    const std::lock_guard lock(mutex_);
    if (keeps_versions_)
        return;
    try {
        keeps_versions_ = api_.keeps_versions(transport_.perform(api_.ask_state()));
    } catch (const HttpFailure& failure) {
        // Who may list versions may not always ask this.
        if (failure.failure != Failure::access_denied)
            throw;
        keeps_versions_ = true;
    }
    if (!keeps_versions_)
        throw Error(ErrorCode::refused, "bucket \"" + bucket_ + "\" keeps no versions",
                    "What it held at an earlier time is gone where it was overwritten or deleted.",
                    "Leave out --as-of-bucket-time to read it as it is now. Switch versioning on: "
                    "it keeps what is overwritten or deleted from then on.");
}

std::shared_ptr<VersionsAt::Directory> VersionsAt::directory_of(const std::string& key) {
    const std::string name = key.substr(0, key.rfind('/') + 1);
    const std::lock_guard lock(mutex_);
    const auto found = directories_.find(name);
    if (found != directories_.end())
        return found->second;
    if (directories_.size() >= kDirectories)
        directories_.clear();
    return directories_[name] = std::make_shared<Directory>();
}

std::optional<BlobVersion> VersionsAt::find(const std::string& key) {
    require_versions();
    const std::shared_ptr<Directory> directory = directory_of(key);
    // Others who ask for something in it wait: a listing may answer them, too.
    const std::lock_guard lock(directory->mutex);
    const auto known = directory->keys.find(key);
    if (known != directory->keys.end())
        return known->second;
    if (directory->is_whole)
        return std::nullopt;
    if (directory->keys.size() < kOneByOne) {
        std::optional<BlobVersion> out;
        Scan(*this, key, Scan::Extent::key).run([&](const BlobVersion& version) {
            out = version;
            return GoOn{};
        });
        directory->keys[key] = out;
        return out;
    }
    std::map<std::string, std::optional<BlobVersion>> all;
    Scan(*this, key.substr(0, key.rfind('/') + 1), Scan::Extent::directory)
        .run([&](const BlobVersion& version) {
            all[version.key] = version;
            return GoOn{};
        });
    directory->keys = std::move(all);
    directory->is_whole = true;
    const auto found = directory->keys.find(key);
    return found == directory->keys.end() ? std::nullopt : found->second;
}

void VersionsAt::visit(const std::string& prefix,
                       const std::function<GoOn(const BlobVersion&)>& visit) {
    require_versions();
    Scan(*this, prefix, Scan::Extent::all).run(visit);
}

}  // namespace ark
