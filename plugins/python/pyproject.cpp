#include "pyproject.hpp"

#include <algorithm>
#include <set>

#include "toml.hpp"

namespace cf::python {

namespace {

constexpr const char* fileName = "pyproject.toml";

void refuse(Project& project, uint32_t line, std::string what) {
    if (project.requirements.remarks.size() < mostRemarks)
        project.requirements.remarks.push_back({fileName, line, 0, std::move(what), false});
}

// `each` gets every string of the array ahead and its line; false when it is not an array of
// strings.
template <typename Each>
bool takeStrings(TomlScanner scanner, Each each) {
    scanner.skipBlanks();
    if (scanner.peek() != '[') return false;
    scanner.skip();
    while (true) {
        scanner.skipSpace();
        if (scanner.peek() == ']') return true;
        const auto line = scanner.line();
        std::string value;
        if (!scanner.takeString(value)) return false;
        each(value, line);
        scanner.skipSpace();
        if (scanner.peek() == ',')
            scanner.skip();
        else if (scanner.peek() != ']')
            return false;
    }
}

void takeDependencies(const TomlScanner& scanner, Project& project) {
    project.declares = true;
    const auto start = scanner.line();
    bool tooMany = false;
    const bool sound = takeStrings(scanner, [&](const std::string& text, uint32_t line) {
        Requirement requirement;
        requirement.file = fileName;
        requirement.line = line;
        const auto wrong = readRequirement(text, requirement);
        auto& packages = project.requirements.packages;
        if (!wrong.empty())
            refuse(project, line, wrong);
        else if (packages.size() < mostPackages)
            packages.push_back(std::move(requirement));
        else
            tooMany = true;
    });
    if (tooMany) refuse(project, start, "more than 2000 packages are asked for");
    if (!sound)
        refuse(project, start,
               "the dependencies of [project] must be a list of texts, such as [\"requests>=2\"]");
}

// A key as it is shown.
std::string shown(std::string key) {
    std::replace(key.begin(), key.end(), TomlScanner::quotedDot, '.');
    return quoted(std::string_view(key));
}

// What stands in the file so far, to find what stands there twice.
class Names {
public:
    static constexpr size_t most = 10'000;  // no file has as many; each costs memory

    // Each returns what is wrong, as a sentence, or nothing.
    std::string table(const std::string& key) {
        if (x_values.count(key) != 0 || x_arrays.count(key) != 0) return twice(key);
        return add(x_tables, key)
                   ? ""
                   : tooManyOr("the table " + shown(key) + " stands here a second time");
    }
    std::string arrayTable(const std::string& key) {
        if (x_values.count(key) != 0 || x_tables.count(key) != 0) return twice(key);
        // Each of them has names of its own.
        for (auto* names : {&x_values, &x_tables, &x_arrays}) forgetBelow(*names, key + ".");
        x_arrays.insert(key);
        return x_count++ < most ? "" : tooMany();
    }
    std::string value(const std::string& key) {
        if (x_tables.count(key) != 0 || x_arrays.count(key) != 0) return twice(key);
        return add(x_values, key) ? "" : tooManyOr(twice(key));
    }

private:
    using Set = std::set<std::string>;

    static std::string twice(const std::string& key) {
        return shown(key) + " stands here a second time";
    }
    static std::string tooMany() {
        return "pyproject.toml has more than " + std::to_string(most) + " names";
    }
    std::string tooManyOr(std::string other) const { return x_count > most ? tooMany() : other; }
    bool add(Set& names, const std::string& key) {
        return ++x_count <= most && names.insert(key).second;
    }
    static void forgetBelow(Set& names, const std::string& prefix) {
        auto at = names.lower_bound(prefix);
        while (at != names.end() && at->starts_with(prefix)) at = names.erase(at);
    }

    Set x_values, x_tables, x_arrays;
    size_t x_count = 0;
};

}  // namespace

Project readProject(std::string_view content) {
    Project project;
    if (auto wrong = whyNotText(content); !wrong.empty()) {
        refuse(project, 1, std::move(wrong));
        return project;
    }
    if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
    TomlScanner scanner{content};
    Names names;
    std::string table;
    uint32_t poetryLine = 0;
    const auto stop = [&](uint32_t line, std::string what) {
        refuse(project, line, std::move(what));
        return std::move(project);
    };
    for (scanner.skipSpace(); !scanner.atEnd(); scanner.skipSpace()) {
        const auto line = scanner.line();
        if (scanner.peek() == '[') {
            scanner.skip();
            table.clear();
            bool array = false;
            if (!scanner.takeHeader(table, array))
                return stop(line,
                            "this line of pyproject.toml cannot be understood: a table is "
                            "expected, such as \"[project]\"");
            if (auto wrong = array ? names.arrayTable(table) : names.table(table); !wrong.empty())
                return stop(line, std::move(wrong));
            if (table == "tool.poetry.dependencies" && poetryLine == 0) poetryLine = line;
            continue;
        }
        std::string key = table.empty() ? "" : table + ".";
        if (!scanner.takeKey(key) || scanner.peek() != '=')
            return stop(line,
                        "this line of pyproject.toml cannot be understood: \"key = value\" is "
                        "expected");
        if (auto wrong = names.value(key); !wrong.empty()) return stop(line, std::move(wrong));
        scanner.skip();
        if (key == "project.dependencies") {
            takeDependencies(scanner, project);
        } else if (key == "project.dynamic") {
            takeStrings(scanner, [&](const std::string& name, uint32_t at) {
                if (name == "dependencies")
                    refuse(project, at,
                           "dependencies that are \"dynamic\" cannot be read without running code; "
                           "list them in "
                           "[project] dependencies or in requirements.txt");
            });
        }
        if (!scanner.passValue() || !scanner.takeLineEnd())
            return stop(line, "the value of " + shown(key) +
                                  " cannot be understood: it is no TOML value, does not end, or "
                                  "something stands behind it");
    }
    if (poetryLine != 0 && !project.declares)
        project.requirements.remarks.push_back({fileName, poetryLine, 0,
                                                "[tool.poetry.dependencies] is not installed from; "
                                                "list the packages in [project] dependencies or in "
                                                "requirements.txt",
                                                true});
    return project;
}

}  // namespace cf::python
