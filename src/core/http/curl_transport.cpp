#include "core/http/curl_transport.hpp"

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/clock.hpp"
#include "core/http/failure.hpp"
#include "core/http/libcurl.hpp"

namespace ark {

namespace {

// An error's body is read up to here: enough for any store's XML.
constexpr size_t kMaxErrorBody = 64 * 1024;
constexpr long kBufferBytes = 256 * 1024;
// How often the loop looks whether patience has ended.
constexpr int kPollMillis = 500;

struct SlistDeleter {
    void operator()(curl_slist* list) const { curl().slist_free_all(list); }
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const size_t from = text.find_first_not_of(kBlank);
    if (from == std::string_view::npos)
        return {};
    return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

Failure failure_of_curl(CURLcode code, bool began) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return Failure::name_resolution;
        case CURLE_COULDNT_CONNECT:
        case CURLE_PROXY:
            return Failure::connect;
        case CURLE_SSL_CONNECT_ERROR:
            return Failure::tls_handshake;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_CIPHER:
            return Failure::certificate;
        case CURLE_OPERATION_TIMEDOUT:
            return began ? Failure::stalled : Failure::timeout;
        case CURLE_PARTIAL_FILE:
            return Failure::truncated;
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_BAD_CONTENT_ENCODING:
        case CURLE_WRITE_ERROR:  // more than was asked for
            return Failure::malformed;
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
        case CURLE_SSL_SHUTDOWN_FAILED:
            return Failure::reset;
        default:
            return Failure::local;
    }
}

// One request on its way. Made and waited for by the caller, moved by the loop's thread.
struct Transfer {
    explicit Transfer(const HttpRequest& request_in) : request(request_in) {}

    const HttpRequest& request;
    CURL* easy = nullptr;
    std::unique_ptr<curl_slist, SlistDeleter> headers;
    std::array<char, CURL_ERROR_SIZE> message{};
    HttpResponse response;
    bool overflow = false;

    const int64_t began = monotonic_nanos();

    // Under the loop's lock.
    bool done = false;
    CURLcode code = CURLE_OK;
    bool gave_up = false;

    bool is_success() const {
        long status = 0;
        curl().easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        return status >= 200 && status < 300;
    }

    size_t take(const char* data, size_t size) {
        const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
        if (is_success() && request.into) {
            if (response.received + size > request.into->size()) {
                overflow = true;
                return 0;
            }
            std::ranges::copy(
                bytes, request.into->begin() + static_cast<std::ptrdiff_t>(response.received));
        } else {
            const size_t limit = is_success() ? request.limit : kMaxErrorBody;
            if (response.body.size() + size > limit) {
                if (!is_success())
                    return size;  // enough of it
                overflow = true;
                return 0;
            }
            response.body.insert(response.body.end(), bytes.begin(), bytes.end());
        }
        response.received += size;
        return size;
    }

    void take_header(std::string_view line) {
        if (line.starts_with("HTTP/")) {
            response.headers.clear();  // of an interim answer
            return;
        }
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            return;
        response.headers.emplace_back(lower(line.substr(0, colon)),
                                      std::string(trimmed(line.substr(colon + 1))));
    }
};

size_t on_body(char* data, size_t size, size_t count, void* transfer) noexcept {
    try {
        return static_cast<Transfer*>(transfer)->take(data, size * count);
    } catch (...) {
        return 0;  // no memory
    }
}

size_t on_header(char* data, size_t size, size_t count, void* transfer) noexcept {
    try {
        static_cast<Transfer*>(transfer)->take_header({data, size * count});
        return size * count;
    } catch (...) {
        return 0;
    }
}

void append_header(std::unique_ptr<curl_slist, SlistDeleter>& list, const std::string& line) {
    curl_slist* longer = curl().slist_append(list.get(), line.c_str());
    if (longer == nullptr)
        throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(longer);
}

template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
    const CURLcode code = curl().easy_setopt(easy, option, value);
    if (code != CURLE_OK)
        throw HttpFailure(Failure::local, "could not prepare a request",
                          curl().easy_strerror(code));
}

void set_up(Transfer& transfer, const CurlOptions& options) {
    CURL* easy = transfer.easy;
    const HttpRequest& request = transfer.request;
    set(easy, CURLOPT_URL, url_of(request).c_str());
    set(easy, CURLOPT_PATH_AS_IS, 1L);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!options.ca_file.empty()) {
        set(easy, CURLOPT_CAINFO, options.ca_file.c_str());
        set(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    }
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout * 1000));
    set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    const double quiet = std::max(options.stall_timeout, request.quiet_seconds);
    set(easy, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(quiet)));
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_BUFFERSIZE, kBufferBytes);
    set(easy, CURLOPT_UPLOAD_BUFFERSIZE, kBufferBytes);
    set(easy, CURLOPT_USERAGENT, "pg_ark/" PG_ARK_VERSION);
    set(easy, CURLOPT_ERRORBUFFER, transfer.message.data());
    set(easy, CURLOPT_WRITEFUNCTION, on_body);
    set(easy, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(easy, CURLOPT_HEADERFUNCTION, on_header);
    set(easy, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(easy, CURLOPT_PRIVATE, static_cast<void*>(&transfer));
    if (request.method == "HEAD") {
        set(easy, CURLOPT_NOBODY, 1L);
    } else if (request.method == "PUT" || request.method == "POST") {
        set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(easy, CURLOPT_POSTFIELDS,
            request.body.empty() ? "" : reinterpret_cast<const char*>(request.body.data()));
        set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
        if (request.header("content-type") == nullptr)
            append_header(transfer.headers, "content-type:");
    } else {
        set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    append_header(transfer.headers, "expect:");
    append_header(transfer.headers, "accept:");
    for (const auto& [name, value] : request.headers)
        append_header(transfer.headers, value.empty() ? name + ";" : name + ": " + value);
    set(easy, CURLOPT_HTTPHEADER, transfer.headers.get());
}

void count(HttpCounts& counts, const Transfer& transfer) {
    const std::string& method = transfer.request.method;
    auto& kind = method == "DELETE"                    ? counts.deletes
                 : method == "PUT" || method == "POST" ? counts.writes
                                                       : counts.reads;
    ++kind;
    curl_off_t sent = 0;
    curl_off_t received = 0;
    curl().easy_getinfo(transfer.easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl().easy_getinfo(transfer.easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    counts.bytes_sent += static_cast<uint64_t>(sent);
    counts.bytes_received += static_cast<uint64_t>(received);
}

// Whether the server may have had anything of it.
bool has_begun(const Transfer& transfer) {
    curl_off_t pretransfer = 0;
    curl().easy_getinfo(transfer.easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
    if (pretransfer == 0)
        return false;
    // libcurl 8.22 has that time of refused connections, too. It may also have been refused a
    // second one after the first, which was reused, had taken the request.
    long sent = 0;
    curl().easy_getinfo(transfer.easy, CURLINFO_REQUEST_SIZE, &sent);
    return transfer.code != CURLE_COULDNT_CONNECT || sent > 0;
}

}  // namespace

class CurlTransport::Loop {
 public:
    Loop(CurlOptions options, std::shared_ptr<Patience> patience)
        : options_(std::move(options)), patience_(std::move(patience)) {
        static const CURLcode ready = curl().global_init(CURL_GLOBAL_DEFAULT);
        multi_ = curl().multi_init();
        if (ready != CURLE_OK || multi_ == nullptr)
            throw HttpFailure(Failure::local, "could not initialise libcurl");
        curl().multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            static_cast<long>(options_.max_connections));
        curl().multi_setopt(multi_, CURLMOPT_MAXCONNECTS,
                            static_cast<long>(options_.max_connections));
        thread_ = std::thread([this] { run(); });
    }

    ~Loop() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        curl().multi_wakeup(multi_);
        thread_.join();
        for (CURL* easy : idle_)
            curl().easy_cleanup(easy);
        curl().multi_cleanup(multi_);
    }

    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    HttpResponse perform(const HttpRequest& request) {
        Transfer transfer(request);
        transfer.easy = take_handle();
        try {
            set_up(transfer, options_);
        } catch (...) {
            give_back(transfer.easy);
            throw;
        }
        {
            std::unique_lock lock(mutex_);
            waiting_.push_back(&transfer);
            curl().multi_wakeup(multi_);
            ended_.wait(lock, [&] { return transfer.done; });
        }
        count(counts, transfer);
        long status = 0;
        curl().easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
        transfer.response.status = static_cast<int>(status);
        if (transfer.code != CURLE_OK || transfer.gave_up) {
            const bool began = has_begun(transfer);
            // One that failed is not used again: it may keep a buffer, and refuse another.
            curl().easy_cleanup(transfer.easy);
            throw_failure(transfer, began);
        }
        give_back(transfer.easy);
        return std::move(transfer.response);
    }

    HttpCounts counts;

 private:
    [[noreturn]] static void throw_failure(const Transfer& transfer, bool began) {
        Failure failure =
            transfer.gave_up ? Failure::cancelled : failure_of_curl(transfer.code, began);
        if (transfer.overflow && !transfer.request.into)
            failure = Failure::too_long;
        std::string detail = transfer.message[0] != '\0' ? std::string(transfer.message.data())
                                                         : curl().easy_strerror(transfer.code);
        if (transfer.overflow)
            detail = "The answer has more bytes than were asked for.";
        if (!detail.ends_with('.'))
            detail += ".";
        throw HttpFailure(failure,
                          transfer.request.method + " of \"" + transfer.request.origin +
                              transfer.request.path + "\" failed",
                          detail, began && transfer.request.changes_something);
    }

    CURL* take_handle() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                CURL* easy = idle_.back();
                idle_.pop_back();
                return easy;
            }
        }
        CURL* easy = curl().easy_init();
        if (easy == nullptr)
            throw std::bad_alloc();
        return easy;
    }

    void give_back(CURL* easy) {
        curl().easy_reset(easy);
        const std::lock_guard lock(mutex_);
        idle_.push_back(easy);
    }

    void end(Transfer* transfer, CURLcode code, bool gave_up) {
        curl().multi_remove_handle(multi_, transfer->easy);
        running_.erase(transfer);
        const std::lock_guard lock(mutex_);
        transfer->code = code;
        transfer->gave_up = gave_up;
        transfer->done = true;
        ended_.notify_all();
    }

    bool begin_waiting() {
        std::deque<Transfer*> fresh;
        {
            const std::lock_guard lock(mutex_);
            fresh.swap(waiting_);
            if (stop_)
                return false;
        }
        for (Transfer* transfer : fresh) {
            running_.insert(transfer);
            const CURLMcode code = curl().multi_add_handle(multi_, transfer->easy);
            if (code != CURLM_OK)
                end(transfer, CURLE_FAILED_INIT, false);
        }
        return true;
    }

    void run() {
        while (begin_waiting()) {
            int running = 0;
            curl().multi_perform(multi_, &running);
            int left = 0;
            while (const CURLMsg* message = curl().multi_info_read(multi_, &left)) {
                if (message->msg != CURLMSG_DONE)
                    continue;
                void* transfer = nullptr;
                curl().easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
                end(static_cast<Transfer*>(transfer), message->data.result, false);
            }
            give_up();
            curl().multi_poll(multi_, nullptr, 0, kPollMillis, nullptr);
        }
    }

    void give_up() {
        const std::set<Transfer*> running = running_;
        for (Transfer* transfer : running) {
            if (patience_->has_ended(transfer->began))
                end(transfer, CURLE_OPERATION_TIMEDOUT, true);
        }
    }

    const CurlOptions options_;
    const std::shared_ptr<Patience> patience_;
    CURLM* multi_ = nullptr;
    std::thread thread_;
    // The loop's thread alone.
    std::set<Transfer*> running_;
    // Under the lock.
    std::mutex mutex_;
    std::condition_variable ended_;
    std::deque<Transfer*> waiting_;
    std::vector<CURL*> idle_;
    bool stop_ = false;
};

CurlTransport::CurlTransport(CurlOptions options, std::shared_ptr<Patience> patience)
    : loop_(std::make_unique<Loop>(std::move(options), std::move(patience))) {}

CurlTransport::~CurlTransport() = default;

HttpResponse CurlTransport::perform(const HttpRequest& request) {
    return loop_->perform(request);
}

const HttpCounts& CurlTransport::counts() const {
    return loop_->counts;
}

}  // namespace ark
