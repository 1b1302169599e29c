// Gives a target every file of the folders and every file named on the command line.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz.hpp"

int main(int count, char** arguments) {
    namespace fs = std::filesystem;
    std::vector<fs::path> files;
    for (int i = 1; i < count; ++i) {
        if (fs::is_directory(arguments[i]))
            for (const auto& entry : fs::directory_iterator(arguments[i])) files.push_back(entry.path());
        else
            files.emplace_back(arguments[i]);
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
        std::ifstream stream(file, std::ios::binary);
        if (!stream) {
            std::cerr << "cannot read " << file << '\n';
            return 1;
        }
        const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
        std::cerr << file.filename().string() << std::endl;  // the last one named is the one that failed
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    }
    std::cerr << files.size() << " inputs replayed\n";
    return files.empty() ? 1 : 0;
}
