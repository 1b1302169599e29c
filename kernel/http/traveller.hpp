// A connection between two servers, with the request that it is moved for. Internal to http/. Owned
// by one thread at a time: the loop it leaves, then the task that brings it to the loop of its new
// home.
#pragma once

#include <memory>

#include "base/unique_fd.hpp"
#include "http/buffer.hpp"
#include "http/occupancy.hpp"
#include "http/server_exchange.hpp"

namespace cf::http {

struct ServerState;

struct Traveller {
    ServerState& home;
    std::shared_ptr<ServerExchange> exchange;  // what the home's handler gets
    base::UniqueFd fd{};
    Occupancy::Seat seat{};
    Buffer input{};   // stands behind the request: the beginning of the next ones
    Buffer output{};  // stands before the answer: what the socket did not take yet
    bool inputEnded = false;
};

}  // namespace cf::http
