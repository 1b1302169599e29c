#include "app/web_page.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/problem.hpp"

namespace cf::app {

namespace {

// Nothing but the page's own files runs in it, and nobody else may frame it.
constexpr char policy[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n";

std::string typeOf(const std::filesystem::path& file) {
    const auto extension = file.extension();
    // Scripts under the other name that RFC 9239 registers: the kernel's text names no language.
    return extension == ".html" ? "text/html; charset=utf-8" : extension == ".js" ? "text/ecmascript; charset=utf-8" : "text/css; charset=utf-8";
}

}  // namespace

WebPage::WebPage(const std::string& folder) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
        std::ifstream in(entry.path(), std::ios::binary);
        std::ostringstream content;
        content << in.rdbuf();
        const std::string name = entry.path().filename();
        files_[name == "index.html" ? "/" : "/" + name] = {typeOf(entry.path()), content.str()};
    }
}

void WebPage::handle(const std::shared_ptr<http::Exchange>& exchange) const {
    const auto& request = exchange->request();
    const auto file = files_.find(request.path);
    if (file == files_.end()) {
        const auto answer = api::problem({.reason = "not_found", .detail = "there is no such page", .hint = "the API begins at /api/v1/functions"}, request);
        return exchange->respond(answer.status, answer.headers, {answer.body});
    }
    exchange->respond(200, "Content-Type: " + file->second.type + "\r\nX-Request-Id: " + api::requestIdOf(request) + "\r\n" + policy,
                      {file->second.content});
}

}  // namespace cf::app
