#include "app/companions.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Timespan.h>
#include <Poco/URI.h>

namespace cf::app {

namespace {

constexpr auto freshness = std::chrono::seconds(2);

bool answers(const std::string& url) {
    try {
        const Poco::URI uri(url);
        Poco::Net::HTTPClientSession session(uri.getHost(), uri.getPort());
        session.setTimeout(Poco::Timespan(1, 0), Poco::Timespan(1, 0), Poco::Timespan(1, 0));
        Poco::Net::HTTPRequest request(Poco::Net::HTTPRequest::HTTP_GET, uri.getPathAndQuery().empty() ? "/" : uri.getPathAndQuery(),
                                       Poco::Net::HTTPMessage::HTTP_1_1);
        session.sendRequest(request);
        Poco::Net::HTTPResponse response;
        session.receiveResponse(response);
        return response.getStatus() < 500;
    } catch (const Poco::Exception&) {
        return false;
    }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> Companions::states() {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (states_.size() == urls_.size() && now - asked_ < freshness) return states_;
    states_.clear();
    for (const auto& [name, url] : urls_) states_.emplace_back(name, answers(url) ? "running" : "unreachable");
    asked_ = now;
    return states_;
}

}  // namespace cf::app
