// The web page: a few files read once at the start, answered from memory. Loop thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "http/exchange.hpp"

namespace cf::app {

class WebPage {
public:
    // Files of `folder`; without one every path answers 404.
    explicit WebPage(const std::string& folder);
    void handle(const std::shared_ptr<http::Exchange>& exchange) const;

private:
    struct File {
        std::string type;
        std::string content;
    };
    std::map<std::string, File, std::less<>> files_;  // by path, "/" for the index
};

}  // namespace cf::app
