#include "wanted.hpp"

#include <algorithm>

#include "pyproject.hpp"

namespace cf::python {

namespace {

using cloudfunction::File;
using cloudfunction::FunctionInfo;

const File* named(const FunctionInfo& function, std::string_view name) {
    for (const auto& file : function.files)
        if (file.name == name) return &file;
    return nullptr;
}

bool isWheel(const File& file) {
    return file.name.starts_with(wheelFolder) && file.name.ends_with(".whl");
}

std::string lineFor(const Requirement& requirement) {
    std::string line = requirement.text;
    for (const auto& hash : requirement.hashes) line += " --hash=" + hash;
    return line + "\n";
}

void readLock(const FunctionInfo& function, Wanted& wanted) {
    auto lock = readRequirements(function.files, lockFile);
    wanted.remarks.insert(wanted.remarks.end(), lock.remarks.begin(), lock.remarks.end());
    std::vector<std::string> names;
    for (const auto& option : lock.options) wanted.lock += option + "\n";
    for (const auto& package : lock.packages) {
        names.push_back(package.name);
        if (package.text.find("==") == std::string::npos || package.hashes.empty())
            wanted.remarks.push_back(
                {package.file, package.line, 0,
                 "a lock names every package as " + package.name +
                     "==<version> --hash=sha256:<hash>; `pip-compile --generate-hashes` writes one",
                 false});
        wanted.lock += lineFor(package);
    }
    for (const auto& package : wanted.requirements.packages)
        if (package.text.find(';') == std::string::npos &&
            std::find(names.begin(), names.end(), package.name) == names.end())
            wanted.remarks.push_back(
                {package.file, package.line, 0,
                 package.name + " is not in " + lockFile +
                     ": write the lock anew, or leave it out to have versions chosen",
                 false});
}

}  // namespace

std::string Wanted::text() const {
    std::string text;
    for (const auto& option : requirements.options) text += option + "\n";
    for (const auto& package : requirements.packages) text += lineFor(package);
    return text;
}

std::string Wanted::constraints() const {
    std::string text;
    for (const auto& package : requirements.constraints) text += lineFor(package);
    return text;
}

const Requirement* Wanted::lineOf(std::string_view name) const {
    const auto normal = normalName(name);
    for (const auto* list : {&requirements.packages, &requirements.constraints})
        for (const auto& package : *list)
            if (package.name == normal) return &package;
    return nullptr;
}

Wanted readWanted(const FunctionInfo& function) {
    Wanted wanted;
    wanted.fromWheels = std::any_of(function.files.begin(), function.files.end(), isWheel);
    if (named(function, requirementsFile) != nullptr) {
        wanted.manifest = requirementsFile;
        wanted.requirements = readRequirements(function.files, requirementsFile);
        if (const auto* file = named(function, projectFile);
            file != nullptr && !readProject(file->content).requirements.packages.empty())
            wanted.requirements.remarks.push_back(
                {projectFile, 0, 0,
                 "the dependencies that pyproject.toml lists are not installed: requirements.txt, or "
                 "\"dependencies\" beside the code, says what is",
                 true});
    } else if (const auto* file = named(function, projectFile)) {
        auto project = readProject(file->content);
        if (project.declares) wanted.manifest = projectFile;
        wanted.requirements = std::move(project.requirements);
    }
    wanted.remarks = wanted.requirements.remarks;
    if (named(function, lockFile) != nullptr && !wanted.fromWheels) {
        readLock(function, wanted);
        if (wanted.manifest.empty()) wanted.manifest = lockFile;
    }
    if (wanted.any())
        for (const auto& file : function.files)
            if (file.name.starts_with(std::string{packagesFolder} + "/")) {
                wanted.remarks.push_back(
                    {std::string{file.name}, 0, 0,
                     "the folder site-packages/ is where packages are installed; put your own into "
                     "another folder, or leave " +
                         (wanted.manifest.empty() ? "wheels/" : wanted.manifest) + " out",
                     false});
                break;
            }
    return wanted;
}

cloudfunction::ManifestFile requirementsFor(const std::vector<std::string_view>& dependencies) {
    cloudfunction::ManifestFile file{requirementsFile, {}};
    for (const auto dependency : dependencies) {
        Requirement requirement;
        const auto wrong = dependency.find_first_of("\r\n") != std::string_view::npos
                               ? "a dependency is one line"
                               : readRequirement(dependency, requirement);
        if (!wrong.empty())
            throw cloudfunction::Failed(CF_INVALID,
                                        wrong.front() == '"' ? wrong : quoted(dependency) + ": " + wrong,
                                        "a dependency is a package's name and, if you like, "
                                        "versions: \"requests\", \"requests>=2.31,<3\"");
        file.content += requirement.text + "\n";
    }
    return file;
}

}  // namespace cf::python
