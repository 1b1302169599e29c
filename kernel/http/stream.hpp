// An answer whose body comes piece by piece, for as long as it takes: events, logs, results that
// are made while they are read. Begun with Exchange::stream(). On HTTP/1.1 it goes out in chunks
// (RFC 9112 section 7.1), on HTTP/1.0 the end of the connection is its end.
//
// The connection and whoever writes share it. Everything happens on the loop thread of the
// exchange: who writes from another thread posts to that loop.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace cf::http {

class Stream {
public:
    virtual ~Stream() = default;

    // Sends `bytes`, or keeps what the socket does not take. False once the stream is closed, also
    // by this very call: a reader that leaves more than ServerOptions::streamBytes unread, or that
    // does not keep the server's minimum rate, is cut off.
    virtual bool write(std::string_view bytes) = 0;
    // The answer is whole. Not ending a stream keeps its connection for ever.
    virtual void end() = 0;
    // Bytes that the socket did not take yet. A writer with much to say writes when there are none.
    virtual size_t pending() const = 0;
    // It was ended, or the client is gone.
    virtual bool closed() const = 0;

    // Callbacks, each at most one; all are dropped when the stream closes.
    // There were pending bytes, and now there are none.
    virtual void onDrained(std::function<void()> callback) = 0;
    // The client went before the end; may run inside of write().
    virtual void onClosed(std::function<void()> callback) = 0;
    // The server stops and waits for the end of this answer. Streams without an end of their own
    // end now; others may go on.
    virtual void onStopping(std::function<void()> callback) = 0;
};

}  // namespace cf::http
