// One request and its answer, between the HTTP front and whoever handles it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <functional>

#include "http/stream.hpp"

namespace cf::http {

class Server;

struct Header {
    std::string_view name;  // as sent; compare without regard to case
    std::string_view value;
};

// A request whose framing was checked (RFC 9112). All views live as long as the Exchange.
struct Request {
    std::string_view method;
    std::string_view target;  // as sent
    std::string_view path;    // target before '?', as sent (not percent-decoded)
    std::string_view query;   // behind '?', as sent; empty without one
    std::span<const Header> headers;
    std::string_view body;    // 64 readable bytes follow it
    std::string_view peer;    // address of the client, "127.0.0.1"

    // First value of a header, or empty.
    std::string_view header(std::string_view name) const;
    bool hasHeader(std::string_view name) const;
};

// Lives from the moment a request is complete until it was answered and its handler let go of it. Handlers on other
// threads keep the shared_ptr and post back to the loop to answer.
class Exchange : public std::enable_shared_from_this<Exchange> {
public:
    virtual ~Exchange() = default;

    const Request& request() const { return request_; }
    // Any thread, while no other one looks at the request: the body is not needed any more. It is empty then, and a
    // large one's memory is given back; everything else stays as it is.
    virtual void dropBody() { request_.body = {}; }

    // Loop thread, before the answer: whoever handles the request keeps so many bytes more for as long as the exchange lives.
    // They count as the request itself does.
    virtual void holds(size_t) {}

    // Loop thread, exactly once. `headers` is zero or more whole lines "Name: value\r\n" that hold no client-supplied
    // CR or LF; Content-Length, Date and Connection are added here. Body pieces are written with the head in one
    // writev; what does not fit at once is copied. For HEAD the body is counted and not sent. Nothing happens when
    // the client is gone.
    virtual void respond(int status, std::string_view headers, std::initializer_list<std::string_view> body) = 0;

    // Loop thread, instead of respond(): begins an answer whose body is written piece by piece; `headers` as there.
    // Null when the client is gone. The exchange itself can be let go then.
    virtual std::shared_ptr<Stream> stream(int status, std::string_view headers) = 0;

    // Loop thread, instead of an answer: the connection goes on at `home`, a server of another loop that outlives this
    // one's, and home's handler gets this request. Let go of the exchange then. Nothing happens when the client is gone.
    virtual void moveTo(Server& home) = 0;

    // Loop thread: true once the client has closed or reset the connection.
    virtual bool clientGone() const = 0;
    // Loop thread: `callback` runs when the client goes before the answer was given. At most one.
    virtual void onClientGone(std::function<void()> callback) = 0;
    // Loop thread: `callback` runs when the client says, before the answer was given, that it will send no more, and has sent
    // nothing behind this request. It may wait for the answer all the same, or be gone, which is known for sure only later. At
    // most one.
    virtual void onInputEnd(std::function<void()> callback) = 0;

protected:
    Request request_{};
};

// Called on the loop thread with every complete request.
using Handler = std::function<void(std::shared_ptr<Exchange>)>;

}  // namespace cf::http
