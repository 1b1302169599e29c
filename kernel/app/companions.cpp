#include "app/companions.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Timespan.h>
#include <Poco/URI.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <sstream>

namespace cf::app {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto askInterval = std::chrono::seconds(3);
constexpr auto answerPatience = std::chrono::seconds(2);  // from connecting to the status line
constexpr size_t statusLineBytes = 256;

std::string requestFor(const Poco::URI& uri) {
    const std::string target = uri.getPathAndQuery();
    Poco::Net::HTTPRequest request(Poco::Net::HTTPRequest::HTTP_GET, target.starts_with('/') ? target : "/" + target,
                                   Poco::Net::HTTPMessage::HTTP_1_1);
    request.setHost(uri.getHost(), uri.getPort());
    std::ostringstream text;
    request.write(text);
    return text.str();
}

// HTTP/1.x, a status below 500.
bool isWell(const std::string& line) {
    return line.size() >= 12 && line.starts_with("HTTP/1.") && line[8] == ' ' && line[9] >= '1' && line[9] < '5';
}

// Whoever sends a byte now and then gets no longer than others: Poco's own client has a time limit for each byte alone.
bool answers(const Poco::URI& uri) {
    try {
        const auto until = Clock::now() + answerPatience;
        const auto left = [&] {
            return Poco::Timespan(std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::microseconds>(until - Clock::now()).count()));
        };
        Poco::Net::StreamSocket socket;
        socket.connect(Poco::Net::SocketAddress(uri.getHost(), uri.getPort()), left());
        const std::string request = requestFor(uri);
        socket.setSendTimeout(left());
        socket.sendBytes(request.data(), static_cast<int>(request.size()));
        std::string line;
        while (line.size() < statusLineBytes && line.find('\n') == std::string::npos && Clock::now() < until) {
            char bytes[statusLineBytes];
            socket.setReceiveTimeout(left());
            const int got = socket.receiveBytes(bytes, sizeof bytes);
            if (got <= 0) break;
            line.append(bytes, static_cast<size_t>(got));
        }
        return line.find('\n') != std::string::npos && isWell(line);
    } catch (const Poco::Exception&) {
        return false;
    }
}

}  // namespace

struct Companions::State {
    std::vector<Poco::URI> uris{};
    std::mutex mutex{};  // of what follows; held for moments only
    std::vector<std::pair<std::string, std::string>> states{};
    bool stopped = false, over = false;
    std::condition_variable changed{};

    void run() {
        std::unique_lock lock(mutex);
        while (!stopped) {
            for (size_t i = 0; i < uris.size() && !stopped; ++i) {
                lock.unlock();
                const bool well = answers(uris[i]);
                lock.lock();
                if (!stopped) states[i].second = well ? "running" : "unreachable";
            }
            changed.wait_for(lock, askInterval, [this] { return stopped; });
        }
        over = true;
        changed.notify_all();
    }
};

Companions::Companions(const std::map<std::string, std::string>& urls) : state_(std::make_shared<State>()) {
    for (const auto& [name, url] : urls) {
        state_->uris.emplace_back(url);
        state_->states.emplace_back(name, "unknown");
    }
}

Companions::~Companions() {
    if (!thread_.joinable()) return;
    stop();
    std::unique_lock lock(state_->mutex);
    const bool over = state_->changed.wait_for(lock, answerPatience + askInterval, [this] { return state_->over; });
    lock.unlock();
    if (over) thread_.join();
    else thread_.detach();
}

void Companions::start() {
    if (!state_->uris.empty() && !thread_.joinable()) thread_ = std::thread([state = state_] { state->run(); });
}

void Companions::stop() {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
    state_->changed.notify_all();
}

std::vector<std::pair<std::string, std::string>> Companions::states() const {
    const std::lock_guard lock(state_->mutex);
    return state_->states;
}

}  // namespace cf::app
