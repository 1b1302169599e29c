#include "app/properties_file.hpp"

#include <Poco/AutoPtr.h>
#include <Poco/Util/PropertyFileConfiguration.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string_view>

#include "base/unique_fd.hpp"

namespace cf::app {

namespace {

base::Failure unreadable(const std::string& file, const std::string& why) {
    return {.reason = "invalid_properties",
            .detail = "cannot read the properties file " + file + ": " + why};
}

base::Failure tooLarge(const std::string& file) {
    return unreadable(file, "it is larger than " + std::to_string(propertiesLimit >> 20) + " MB");
}

base::Result<std::string> contentOf(const std::string& file) {
    // Opening a pipe waits for its writer without O_NONBLOCK.
    const base::UniqueFd descriptor(
        ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat facts {};
    if (!descriptor || ::fstat(descriptor.get(), &facts) != 0)
        return unreadable(file, std::strerror(errno));
    if (S_ISDIR(facts.st_mode)) return unreadable(file, "it is a folder, not a file");
    if (!S_ISREG(facts.st_mode))
        return unreadable(file, "it is not a file but a pipe, socket or device");
    if (static_cast<size_t>(facts.st_size) > propertiesLimit) return tooLarge(file);
    // Files of /proc have no size that one could ask for.
    std::string content(propertiesLimit + 1, '\0');
    size_t size = 0;
    while (size < content.size()) {
        const ssize_t got = ::read(descriptor.get(), content.data() + size, content.size() - size);
        if (got == 0) break;
        if (got < 0 && errno != EINTR) return unreadable(file, std::strerror(errno));
        if (got > 0) size += static_cast<size_t>(got);
    }
    if (size > propertiesLimit) return tooLarge(file);
    content.resize(size);
    return content;
}

// Keeps every entry with its place; a configuration of its own would keep the last of two and no
// place.
class Entries : public Poco::Util::PropertyFileConfiguration {
public:
    explicit Entries(const std::string& content) : content_(content), stream_(content) {
        load(stream_);
    }
    std::vector<Property> take() { return std::move(found_); }

protected:
    // Called with the stream behind the entry.
    void setRaw(const std::string& key, const std::string& value) override {
        skipToEntry();
        found_.push_back({key, value, line_});
        const auto behind = stream_.tellg();  // -1 at the end
        advance(behind < 0 ? content_.size() : static_cast<size_t>(behind));
    }

private:
    // Over what Poco skips in front of an entry: blanks and comments.
    void skipToEntry() {
        while (at_ < content_.size()) {
            const char c = content_[at_];
            if (c == '#' || c == '!')
                advance(std::min(content_.find_first_of("\r\n", at_), content_.size()));
            else if (std::string_view(" \t\r\n\v\f").find(c) != std::string_view::npos)
                advance(at_ + 1);
            else
                break;
        }
    }
    void advance(size_t to) {
        line_ +=
            static_cast<size_t>(std::count(content_.begin() + static_cast<ptrdiff_t>(at_),
                                           content_.begin() + static_cast<ptrdiff_t>(to), '\n'));
        at_ = to;
    }

    const std::string& content_;
    std::istringstream stream_;
    size_t at_ = 0;
    size_t line_ = 1;
    std::vector<Property> found_;
};

}  // namespace

base::Result<std::vector<Property>> readProperties(const std::string& file) {
    const auto content = contentOf(file);
    if (!content) return content.failure();
    return Poco::AutoPtr<Entries>(new Entries(*content))->take();
}

}  // namespace cf::app
