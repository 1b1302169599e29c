#include "http/exchange.hpp"

#include "http/ascii.hpp"

namespace cf::http {

std::string_view Request::header(std::string_view name) const {
    for (const Header& field : headers)
        if (equalsIgnoringCase(field.name, name)) return field.value;
    return {};
}

bool Request::hasHeader(std::string_view name) const {
    for (const Header& field : headers)
        if (equalsIgnoringCase(field.name, name)) return true;
    return false;
}

}  // namespace cf::http
