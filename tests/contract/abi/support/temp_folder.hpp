// A folder of its own for one test, removed with everything in it.
#pragma once

#include <string>

namespace cf::test {

class TempFolder {
public:
    TempFolder();  // throws std::system_error
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

std::string readFile(const std::string& path);  // empty when it is not there
void writeFile(const std::string& path, const std::string& content);

}  // namespace cf::test
