#include "core/store/azure/azure_store.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/http/message.hpp"
#include "core/store/azure/azure_api.hpp"
#include "core/store/azure/azure_config.hpp"
#include "core/store/azure/azure_credentials.hpp"
#include "core/store/azure/azure_transport.hpp"
#include "core/store/cloud/cloud_store.hpp"
#include "core/store/cloud/connection.hpp"

namespace ark {

namespace {

const std::vector<std::string> kOptions{"account", "endpoint", "credentials_file", "client_id",
                                        "ca_file", "tier",     "create_if_absent"};

Error bad_url(const std::string& why, const std::string& hint = {}) {
    return {ErrorCode::invalid_argument, "invalid repository URL", why, hint};
}

struct Place {
    std::string account;
    std::string origin;  ///< "https://host[:port]"
    std::string path;    ///< what stands before the container: empty, or "/account"
};

std::string host_of(const std::string& origin) {
    const std::string_view host = std::string_view(origin).substr(origin.find("://") + 3);
    return std::string(host.substr(0, host.starts_with('[') ? host.find(']') : host.find(':')));
}

// Such a host cannot name the account: an emulator, or a private cloud without names.
bool is_bare_host(const std::string& host) {
    return host == "localhost" || host.starts_with('[') ||
           host.find_first_not_of("0123456789.") == std::string::npos;
}

Place place_of(const StoreUrl& url, const AzureConfig& config) {
    Place place;
    place.account = url.option("account", config.account);
    std::string endpoint = url.option("endpoint", config.endpoint);
    while (endpoint.ends_with('/'))
        endpoint.pop_back();
    if (endpoint.empty()) {
        if (place.account.empty())
            throw bad_url("It does not say in which storage account the container is.",
                          "Add account=NAME to it, or set AZURE_STORAGE_ACCOUNT.");
        endpoint = "https://" + place.account + ".blob.core.windows.net";
    }
    const size_t scheme = endpoint.find("://");
    const size_t slash =
        scheme == std::string::npos ? endpoint.size() : endpoint.find('/', scheme + 3);
    place.origin = check_endpoint(endpoint.substr(0, slash));
    place.path = slash < endpoint.size() ? endpoint.substr(slash) : "";
    if (place.path.find_first_of("?#@ %") != std::string::npos)
        throw bad_url("Its option \"endpoint\" is not of the form https://host:port/account.");
    const std::string host = host_of(place.origin);
    if (place.account.empty() && !place.path.empty())
        place.account = place.path.substr(1, place.path.find('/', 1) - 1);
    if (place.account.empty() && !is_bare_host(host))
        place.account = host.substr(0, host.find('.'));
    if (place.account.empty())
        throw bad_url("Neither it nor its endpoint says which storage account is meant.",
                      "Add account=NAME to it.");
    if (place.path.empty() && is_bare_host(host))
        place.path = "/" + place.account;
    return place;
}

// As the header has it.
HeaderList blob_headers(const StoreUrl& url) {
    std::string tier = url.option("tier");
    if (tier.empty())
        return {};
    std::ranges::transform(tier, tier.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::array<std::string_view, 3> kTiers{"hot", "cool", "cold"};
    if (std::ranges::find(kTiers, tier) == kTiers.end())
        throw bad_url(
            "Its option \"tier\" is none of hot, cool, cold.",
            "What is in the archive tier cannot be read before it has been thawed for hours.");
    tier[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(tier[0])));
    return {{"x-ms-access-tier", tier}};
}

void check_account(const std::string& account) {
    const bool name =
        account.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos &&
        account.size() <= 63;
    if (!name)
        throw bad_url("Its storage account has an impossible name.",
                      "A name has lower-case letters and digits.");
}

}  // namespace

std::unique_ptr<ObjectStore> make_azure_store(const std::string& url_text,
                                              const StoreOptions& options) {
    const StoreUrl url = parse_store_url(url_text, kOptions);
    const std::string credentials_file = url.option("credentials_file");
    const Place place = place_of(url, read_azure_config(credentials_file));
    check_account(place.account);
    const AzureCredentialOptions who{place.account, credentials_file, url.option("client_id"),
                                     url.option("ca_file")};

    AzureOptions api;
    api.origin = place.origin;
    api.base_path = place.path + "/" + url.bucket;
    api.create_if_absent = url.flag("create_if_absent", true);
    api.blob_headers = blob_headers(url);

    const Connection connection = connect(who.ca_file, options);
    const auto credentials =
        std::make_shared<AzureCredentialCache>([who] { return find_azure_credentials(who); });
    const auto signer =
        std::make_shared<AzureTransport>(connection.transport, credentials, place.account);

    CloudOptions cloud;
    cloud.create_if_absent = api.create_if_absent;
    return make_cloud_store(connection.parts(url, std::make_unique<AzureApi>(api), signer,
                                             [signer] { return signer->clock_skew(); }),
                            cloud);
}

}  // namespace ark
