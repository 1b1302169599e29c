#include "http/router.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "http/percent.hpp"
#include "http/request_line.hpp"

namespace cf::http {

namespace {

// In `methods`.
constexpr size_t get = 0, head = 1, options = 6;

size_t indexOf(std::string_view method) {
    return static_cast<size_t>(std::find(methods.begin(), methods.end(), method) - methods.begin());
}

}  // namespace

// One segment of the patterns. A path is walked from node to node, '/' by '/'.
struct Router::Node {
    std::vector<std::pair<std::string, std::unique_ptr<Node>>> literals{};
    std::unique_ptr<Node> named{};
    std::unique_ptr<Node> rest{};
    std::string name{};  // of the parameter that leads here
    std::array<std::optional<RouteId>, methods.size()> routes{};

    bool served() const {
        return std::any_of(routes.begin(), routes.end(),
                           [](const auto& route) { return route.has_value(); });
    }
};

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(std::string_view method, std::string_view pattern, RouteId id) {
    const auto wrong = [&](const char* why) {
        throw std::invalid_argument("route " + std::string(pattern) + " " + why);
    };
    const auto step = [&](std::unique_ptr<Node>& slot, std::string_view name) {
        if (slot == nullptr) {
            slot = std::make_unique<Node>();
            slot->name = name;
        } else if (slot->name != name) {
            wrong("names a parameter otherwise than another route");
        }
        return slot.get();
    };
    Node* node = root_.get();
    std::string_view left = pattern;
    size_t parameters = 0;
    while (!left.empty()) {
        if (left.ends_with("...}") && left.front() == '{') {
            node = step(node->rest, left.substr(1, left.size() - 5));
            ++parameters;
            break;
        }
        if (left.front() != '/') wrong("has a segment without '/'");
        left.remove_prefix(1);
        // A rest may stand right behind a segment: it brings its own '/'.
        const std::string_view segment =
            left.substr(0, left.starts_with('{') ? left.find('}') + 1 : left.find_first_of("/{"));
        if (segment.ends_with("...}")) wrong("has a '/' in front of a rest, which brings its own");
        left.remove_prefix(segment.size());
        if (segment.starts_with('{')) {
            node = step(node->named, segment.substr(1, segment.size() - 2));
            ++parameters;
            continue;
        }
        const auto found = std::find_if(node->literals.begin(), node->literals.end(),
                                        [&](const auto& one) { return one.first == segment; });
        if (found == node->literals.end())
            node = node->literals.emplace_back(segment, std::make_unique<Node>()).second.get();
        else
            node = found->second.get();
    }
    if (parameters > RouteMatch::maxParameters) wrong("has too many parameters");
    const size_t index = indexOf(method);
    if (index == methods.size() && method != "*") wrong("has an unknown method");
    for (size_t i = 0; i < methods.size(); ++i) {
        if (i != index && method != "*") continue;
        if (node->routes[i]) wrong("is there twice");
        node->routes[i] = id;
    }
}

// `path` is what is left of it: empty, or beginning with '/'.
const Router::Node* Router::find(const Node& node, std::string_view path, RouteMatch& result,
                                 bool& broken) const {
    if (path.empty() && node.served()) return &node;
    if (!path.empty()) {
        const size_t end = std::min(path.find('/', 1), path.size());
        const std::string_view segment = path.substr(1, end - 1), left = path.substr(end);
        for (const auto& [literal, next] : node.literals)
            if (literal == segment)
                if (const Node* found = find(*next, left, result, broken)) return found;
        if (node.named != nullptr && !segment.empty()) {
            const size_t index = result.count_++;
            auto& parameter = result.parameters_[index];
            parameter = {node.named->name, segment, segment.find('%') != std::string_view::npos};
            const bool fine = !parameter.decoded || percentDecode(segment, result.decoded_[index]);
            if (const Node* found = find(*node.named, left, result, broken)) {
                broken |= !fine;
                return found;
            }
            result.count_ = index;
        }
    }
    if (node.rest == nullptr) return nullptr;
    result.parameters_[result.count_++] = {node.rest->name, path, false};
    return node.rest.get();
}

void Router::match(const Request& request, RouteMatch& result) const {
    using Kind = RouteMatch::Kind;
    result.count_ = 0;
    bool broken = false;
    const size_t method = indexOf(request.method);
    const bool everything = request.path == "*";
    const Node* node = everything ? nullptr : find(*root_, request.path, result, broken);
    if (node == nullptr && !everything)
        return result.refuse(404, "not_found",
                             "there is nothing at " + std::string(request.path.substr(0, 256)));
    if (broken)
        return result.refuse(400, "malformed_path",
                             "the path holds a broken escape, or one of NUL or '/': " +
                                 std::string(request.path.substr(0, 256)));
    if (node != nullptr && method < methods.size()) {
        auto route = node->routes[method];
        if (!route && method == head) route = node->routes[get];
        if (route) {
            result.kind_ = Kind::route;
            result.id_ = *route;
            return;
        }
    }
    std::string allow = "Allow: ";
    for (size_t i = 0; i < methods.size(); ++i)
        if (everything || i == options || node->routes[i] || (i == head && node->routes[get]))
            (allow += i == options ? "" : methods[i]) += i == options ? "OPTIONS\r\n" : ", ";
    result.headers_ = allow;
    if (method == options) {
        result.kind_ = Kind::options;
        return;
    }
    result.refuse(405, "method_not_allowed",
                  std::string(request.method) + " is not possible at " +
                      std::string(request.path.substr(0, 256)));
    result.refusal_->failure.hint = "possible are " + allow.substr(7, allow.size() - 9);
    result.refusal_->headers = std::move(allow);
}

std::string_view RouteMatch::operator[](std::string_view name) const {
    for (size_t i = 0; i < count_; ++i)
        if (parameters_[i].name == name)
            return parameters_[i].decoded ? std::string_view(decoded_[i]) : parameters_[i].value;
    return {};
}

void RouteMatch::refuse(int status, const char* reason, std::string detail) {
    kind_ = Kind::refused;
    refusal_.emplace(
        Refusal{.status = status, .failure = {.reason = reason, .detail = std::move(detail)}});
}

}  // namespace cf::http
