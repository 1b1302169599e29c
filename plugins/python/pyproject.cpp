#include "pyproject.hpp"

namespace cf::python {

namespace {

constexpr const char* fileName = "pyproject.toml";

// A position in the text, with its line.
class Scanner {
public:
    explicit Scanner(std::string_view text) : x_text(text) {}

    bool atEnd() const { return x_at >= x_text.size(); }
    char peek() const { return atEnd() ? '\0' : x_text[x_at]; }
    uint32_t line() const { return x_line; }
    bool next(std::string_view what) const { return x_text.substr(x_at, what.size()) == what; }

    void skip(size_t count = 1) {
        for (; count > 0 && !atEnd(); --count)
            if (x_text[x_at++] == '\n') ++x_line;
    }
    void skipBlanks() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\r') skip();
    }
    void skipLine() {
        while (!atEnd() && peek() != '\n') skip();
    }
    // Blanks, line ends and comments, as they may stand between the values of an array.
    void skipSpace() {
        while (true) {
            skipBlanks();
            if (peek() == '#') skipLine();
            if (peek() != '\n') return;
            skip();
        }
    }

    // A string of any of the four kinds; false when there is none or it does not end.
    bool takeString(std::string& value) {
        const char quote = peek();
        if (quote != '"' && quote != '\'') return false;
        const std::string three(3, quote);
        const bool longForm = next(three);
        skip(longForm ? 3 : 1);
        if (longForm && peek() == '\n') skip();
        while (!atEnd()) {
            if (longForm ? next(three) : peek() == quote) {
                skip(longForm ? 3 : 1);
                return true;
            }
            if (!longForm && peek() == '\n') return false;
            if (quote == '"' && peek() == '\\') {
                skip();
                value +=
                    peek() == 't' ? '\t' : peek();  // other escapes make no sense in a requirement
            } else {
                value += peek();
            }
            skip();
        }
        return false;
    }

    // A key such as `project`, `project.dependencies` or `"project" . dependencies`, joined by
    // dots.
    std::string takeKey() {
        std::string key;
        while (true) {
            skipBlanks();
            if (peek() == '"' || peek() == '\'') {
                if (!takeString(key)) return {};
            } else {
                while (!atEnd() &&
                       std::string_view{" \t\r\n.=]#,[{"}.find(peek()) == std::string_view::npos) {
                    key += peek();
                    skip();
                }
            }
            skipBlanks();
            if (peek() != '.') return key;
            key += '.';
            skip();
        }
    }

    // Passes over a value of any kind.
    void skipValue() {
        int depth = 0;
        while (!atEnd()) {
            const char c = peek();
            std::string ignored;
            if (c == '"' || c == '\'') {
                if (!takeString(ignored)) return;
                continue;
            }
            if (c == '[' || c == '{') ++depth;
            if (c == ']' || c == '}') --depth;
            if (c == '#') {
                skipLine();
                continue;
            }
            if (c == '\n' && depth <= 0) return;
            skip();
        }
    }

private:
    std::string_view x_text;
    size_t x_at = 0;
    uint32_t x_line = 1;
};

void refuse(Project& project, uint32_t line, std::string what) {
    if (project.requirements.remarks.size() < mostRemarks)
        project.requirements.remarks.push_back({fileName, line, 0, std::move(what), false});
}

// `each` gets every string of an array and its line; false when it is not an array of strings.
template <typename Each>
bool takeStrings(Scanner& scanner, Each each) {
    scanner.skipBlanks();
    if (scanner.peek() != '[') return false;
    scanner.skip();
    while (true) {
        scanner.skipSpace();
        if (scanner.peek() == ']') {
            scanner.skip();
            return true;
        }
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

void takeDependencies(Scanner& scanner, Project& project) {
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

}  // namespace

Project readProject(std::string_view content) {
    Project project;
    if (auto wrong = whyNotText(content); !wrong.empty()) {
        refuse(project, 1, std::move(wrong));
        return project;
    }
    Scanner scanner{content};
    std::string table;
    bool poetry = false;
    uint32_t poetryLine = 0;
    while (true) {
        scanner.skipSpace();
        if (scanner.atEnd()) break;
        if (scanner.peek() == '[') {
            const auto line = scanner.line();
            scanner.skip();
            if (scanner.peek() == '[') scanner.skip();
            table = scanner.takeKey();
            scanner.skipLine();
            if (table == "tool.poetry.dependencies" && !poetry) {
                poetry = true;
                poetryLine = line;
            }
            continue;
        }
        const auto line = scanner.line();
        const auto key = (table.empty() ? "" : table + ".") + scanner.takeKey();
        if (scanner.peek() != '=') {
            refuse(project, line,
                   "this line of pyproject.toml cannot be understood: \"key = value\" is expected");
            return project;
        }
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
        scanner.skipValue();
    }
    if (poetry && !project.declares)
        project.requirements.remarks.push_back({fileName, poetryLine, 0,
                                                "[tool.poetry.dependencies] is not installed from; "
                                                "list the packages in [project] dependencies or in "
                                                "requirements.txt",
                                                true});
    return project;
}

}  // namespace cf::python
