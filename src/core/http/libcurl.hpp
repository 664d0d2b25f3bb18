#pragma once

#include <curl/curl.h>

#include "core/base/library.hpp"

namespace ark {

/// libcurl, loaded by the first who opens object storage. Its functions, as curl.h has them,
/// without their "curl_".
struct LibCurl {
    Library library{"libcurl.so.4", "libcurl4"};
    decltype(&::curl_easy_cleanup) easy_cleanup = library["curl_easy_cleanup"];
    decltype(&::curl_easy_getinfo) easy_getinfo = library["curl_easy_getinfo"];
    decltype(&::curl_easy_init) easy_init = library["curl_easy_init"];
    decltype(&::curl_easy_reset) easy_reset = library["curl_easy_reset"];
    decltype(&::curl_easy_setopt) easy_setopt = library["curl_easy_setopt"];
    decltype(&::curl_easy_strerror) easy_strerror = library["curl_easy_strerror"];
    decltype(&::curl_global_init) global_init = library["curl_global_init"];
    decltype(&::curl_multi_add_handle) multi_add_handle = library["curl_multi_add_handle"];
    decltype(&::curl_multi_cleanup) multi_cleanup = library["curl_multi_cleanup"];
    decltype(&::curl_multi_info_read) multi_info_read = library["curl_multi_info_read"];
    decltype(&::curl_multi_init) multi_init = library["curl_multi_init"];
    decltype(&::curl_multi_perform) multi_perform = library["curl_multi_perform"];
    decltype(&::curl_multi_poll) multi_poll = library["curl_multi_poll"];
    decltype(&::curl_multi_remove_handle) multi_remove_handle = library["curl_multi_remove_handle"];
    decltype(&::curl_multi_setopt) multi_setopt = library["curl_multi_setopt"];
    decltype(&::curl_multi_wakeup) multi_wakeup = library["curl_multi_wakeup"];
    decltype(&::curl_slist_append) slist_append = library["curl_slist_append"];
    decltype(&::curl_slist_free_all) slist_free_all = library["curl_slist_free_all"];
};
/// Error: as Library, each time anew.
const LibCurl& curl();

}  // namespace ark
