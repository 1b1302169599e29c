// The sandboxes' questions for names, forwarded to the machine's name servers.
#pragma once

namespace cf::sandbox {

// Answers what comes to `datagrams` and `streams`, sockets that are bound to port 53 of the router,
// as the launcher at the other end of `control` says (names:: in name_server.hpp). Ends the process
// when the launcher is gone.
void forwardNames(int control, int datagrams, int streams);

}  // namespace cf::sandbox
