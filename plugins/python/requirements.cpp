#include "requirements.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <set>

namespace cf::python {

namespace {

using cloudfunction::File;

constexpr int deepestInclude = 10;
constexpr size_t longestLine = 4096;

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

bool isAlphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool isNameByte(char c) { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && isSpace(text.front())) text.remove_prefix(1);
    while (!text.empty() && isSpace(text.back())) text.remove_suffix(1);
    return text;
}

}  // namespace

std::string quoted(std::string_view text) {
    return "\"" + std::string{text.substr(0, 200)} + (text.size() > 200 ? "..." : "") + "\"";
}

namespace {

// Takes a distribution's or an extra's name off the front.
std::string_view takeName(std::string_view& rest) {
    size_t size = 0;
    while (size < rest.size() && isNameByte(rest[size])) ++size;
    while (size > 0 && !isAlphanumeric(rest[size - 1])) --size;
    if (size == 0 || !isAlphanumeric(rest.front())) return {};
    const auto name = rest.substr(0, size);
    rest.remove_prefix(size);
    return name;
}

std::string_view takeOperator(std::string_view& rest) {
    for (const std::string_view known : {"===", "~=", "==", "!=", "<=", ">=", "<", ">"})
        if (rest.substr(0, known.size()) == known) {
            rest.remove_prefix(known.size());
            return known;
        }
    return {};
}

// How to ask for one version, after something that is not how: with the version itself where one
// was given.
std::string pinned(const std::string& name, std::string_view version) {
    version = trimmed(version);
    const bool given = !version.empty() && isAlphanumeric(version.front());
    return given ? name + "==" + std::string{version}
                 : name + ", or " + name + "==1.2 for a version";
}

// Takes ">=1,<2" off the front; what is wrong, or nothing.
std::string takeSpecifiers(std::string_view& rest, const std::string& name) {
    while (true) {
        rest = trimmed(rest);
        if (takeOperator(rest).empty()) {
            if (!rest.empty() && rest.front() == '=')
                return "\"=\" compares nothing: write " + pinned(name, rest.substr(1));
            return "a version needs a comparison, such as " + name + "==1.2 or " + name + ">=1,<2";
        }
        rest = trimmed(rest);
        size_t size = 0;
        while (size < rest.size() && (isNameByte(rest[size]) || rest[size] == '*' ||
                                      rest[size] == '+' || rest[size] == '!'))
            ++size;
        if (size == 0) return "a comparison has no version behind it";
        rest = trimmed(rest.substr(size));
        if (rest.empty() || rest.front() != ',') return {};
        rest.remove_prefix(1);
    }
}

std::string readExtras(std::string_view& rest) {
    rest = trimmed(rest.substr(1));
    while (!rest.empty() && rest.front() != ']') {
        if (takeName(rest).empty()) return "the extras in [...] are names, separated by commas";
        rest = trimmed(rest);
        if (!rest.empty() && rest.front() == ',') rest = trimmed(rest.substr(1));
    }
    if (rest.empty()) return "\"[\" is not closed by \"]\"";
    rest = trimmed(rest.substr(1));
    return {};
}

// PEP 508's marker: comparisons of variables and texts, joined by "and" and "or".
class Marker {
public:
    explicit Marker(std::string_view text) : x_rest(text) {}
    bool sound() { return takeAny(0) && trimmed(x_rest).empty(); }

private:
    bool takeAny(int depth) {
        do {
            if (!takeOne(depth)) return false;
        } while (takeWord("and") || takeWord("or"));
        return true;
    }
    bool takeOne(int depth) {
        x_rest = trimmed(x_rest);
        if (!x_rest.starts_with('(')) return takeSide() && takeComparison() && takeSide();
        x_rest.remove_prefix(1);
        if (depth > deepestInclude || !takeAny(depth + 1)) return false;
        x_rest = trimmed(x_rest);
        if (!x_rest.starts_with(')')) return false;
        x_rest.remove_prefix(1);
        return true;
    }
    bool takeSide() {
        x_rest = trimmed(x_rest);
        if (x_rest.starts_with('"') || x_rest.starts_with('\'')) {
            const auto end = x_rest.find(x_rest.front(), 1);
            if (end == std::string_view::npos) return false;
            x_rest.remove_prefix(end + 1);
            return true;
        }
        return std::any_of(variables.begin(), variables.end(),
                           [&](std::string_view name) { return takeWord(name); });
    }
    bool takeComparison() {
        x_rest = trimmed(x_rest);
        return !takeOperator(x_rest).empty() || takeWord("in") ||
               (takeWord("not") && takeWord("in"));
    }
    bool takeWord(std::string_view word) {
        x_rest = trimmed(x_rest);
        if (!x_rest.starts_with(word) ||
            (x_rest.size() > word.size() && isNameByte(x_rest[word.size()])))
            return false;
        x_rest.remove_prefix(word.size());
        return true;
    }

    static constexpr std::array<std::string_view, 12> variables = {
        "python_version",      "python_full_version",    "os_name",
        "sys_platform",        "platform_release",       "platform_system",
        "platform_version",    "platform_machine",       "platform_python_implementation",
        "implementation_name", "implementation_version", "extra"};
    std::string_view x_rest;
};

// Why something that is no name cannot be asked for, in the words of its author.
std::string refusal(std::string_view text) {
    const auto has = [&](std::string_view part) {
        return text.find(part) != std::string_view::npos;
    };
    constexpr const char* instead =
        "; put its wheel into a folder wheels/ of the files, or its source into the files";
    if (has("${")) return "variables (${...}) are not expanded here";
    if (has("git+") || has("hg+") || has("svn+") || has("bzr+"))
        return std::string{"packages do not come from version control"} + instead;
    if (has("://") || text.substr(0, 5) == "file:")
        return std::string{"packages do not come from addresses of their own"} + instead;
    if (!text.empty() && (text.front() == '.' || text.front() == '/' || text.front() == '~' ||
                          has("/") || text.ends_with(".whl") || text.ends_with(".tar.gz")))
        return std::string{"packages do not come from paths"} + instead;
    return {};
}

class Reader {
public:
    explicit Reader(const std::vector<File>& files) : x_files(files) {}

    void read(const std::string& name, std::vector<Requirement>& target, int depth) {
        const auto found = std::find_if(x_files.begin(), x_files.end(),
                                        [&](const File& file) { return file.name == name; });
        if (found == x_files.end())
            return refuse("there is no file " + name + " among the function's files");
        if (depth > deepestInclude) return refuse("files include each other more than 10 deep");
        // Once is enough, and has an end.
        if (!x_read.insert({name, &target}).second) return;
        const auto outerFile = x_file;
        const auto outerLine = x_line;
        x_file = name;
        std::string_view rest = found->content;
        if (const auto wrong = whyNotText(rest); !wrong.empty()) return refuse(wrong);
        if (rest.substr(0, 3) == "\xEF\xBB\xBF") rest.remove_prefix(3);
        uint32_t number = 0;
        while (!rest.empty()) {
            std::string line;
            x_line = number + 1;
            for (bool more = true; more && !rest.empty();) {
                const auto end = rest.find('\n');
                auto piece = rest.substr(0, end);
                rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
                ++number;
                if (!piece.empty() && piece.back() == '\r') piece.remove_suffix(1);
                more = !piece.empty() && piece.back() == '\\';
                line += more ? piece.substr(0, piece.size() - 1) : piece;
            }
            take(withoutComment(line), target, depth);
        }
        x_file = outerFile;
        x_line = outerLine;
    }

    Requirements result;

private:
    static std::string_view withoutComment(std::string_view line) {
        for (size_t at = 0; at < line.size(); ++at)
            if (line[at] == '#' && (at == 0 || isSpace(line[at - 1])))
                return trimmed(line.substr(0, at));
        return trimmed(line);
    }

    void refuse(const std::string& what) {
        if (result.remarks.size() < mostRemarks)
            result.remarks.push_back({x_file, x_line, 0, what, false});
    }

    void take(std::string_view line, std::vector<Requirement>& target, int depth) {
        if (line.empty()) return;
        if (line.size() > longestLine) return refuse("the line is longer than 4096 bytes");
        if (std::any_of(line.begin(), line.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 && !isSpace(c); }))
            return refuse("the line holds control characters");
        if (line.find("${") != std::string_view::npos) return refuse(refusal("${"));
        if (line.front() == '-') return takeOption(line, target, depth);
        if (target.size() >= mostPackages) {
            if (!x_tooMany) refuse("more than 2000 packages are asked for");
            x_tooMany = true;
            return;
        }
        Requirement requirement;
        requirement.file = x_file;
        requirement.line = x_line;
        const auto options = line.find(" --");
        const auto wrong = readRequirement(line.substr(0, options), requirement);
        if (!wrong.empty()) return refuse(wrong);
        if (options != std::string_view::npos && !takeHashes(line.substr(options), requirement))
            return;
        target.push_back(std::move(requirement));
    }

    bool takeHashes(std::string_view rest, Requirement& requirement) {
        for (rest = trimmed(rest); !rest.empty(); rest = trimmed(rest)) {
            constexpr std::string_view hash = "--hash";
            const auto end = std::find_if(rest.begin(), rest.end(), isSpace);
            auto word = rest.substr(0, static_cast<size_t>(end - rest.begin()));
            if (word.substr(0, hash.size()) != hash) {
                refuse("the option " + quoted(word) + " of a package is not supported; --hash is");
                return false;
            }
            rest.remove_prefix(word.size());
            word.remove_prefix(hash.size());
            if (word.empty()) {
                rest = trimmed(rest);
                const auto valueEnd = std::find_if(rest.begin(), rest.end(), isSpace);
                word = rest.substr(0, static_cast<size_t>(valueEnd - rest.begin()));
                rest.remove_prefix(word.size());
            } else {
                word.remove_prefix(1);
            }
            const auto colon = word.find(':');
            const auto kind = word.substr(0, colon);
            if (colon == std::string_view::npos ||
                (kind != "sha256" && kind != "sha384" && kind != "sha512") ||
                word.find_first_not_of("0123456789abcdefABCDEF", colon + 1) !=
                    std::string_view::npos ||
                word.size() == colon + 1) {
                refuse("a hash is written --hash=sha256:<hexadecimal digits>");
                return false;
            }
            requirement.hashes.emplace_back(word);
        }
        return true;
    }

    void takeOption(std::string_view line, std::vector<Requirement>& target, int depth) {
        auto end = line.find_first_of(" \t=");
        // -rother.txt
        if (line.size() > 2 && line[1] != '-' && end > 2) end = 2;
        const auto option = line.substr(0, end);
        auto value = end == std::string_view::npos ? std::string_view{} : trimmed(line.substr(end));
        if (!value.empty() && value.front() == '=') value = trimmed(value.substr(1));
        if (option == "-r" || option == "--requirement")
            return read(beside(value), target, depth + 1);
        if (option == "-c" || option == "--constraint")
            return read(beside(value), result.constraints, depth + 1);
        if (option == "-i" || option == "--index-url" || option == "--pypi-url" ||
            option == "--extra-index-url") {
            if ((value.substr(0, 8) != "https://" && value.substr(0, 7) != "http://") ||
                std::any_of(value.begin(), value.end(), isSpace))
                return refuse("a package index is an address that begins with https://");
            result.options.push_back(std::string{option == "--extra-index-url"
                                                     ? option
                                                     : std::string_view{"--index-url"}} +
                                     " " + std::string{value});
            return;
        }
        if (option == "--pre" || option == "--prefer-binary" || option == "--require-hashes") {
            result.options.emplace_back(option);
            return;
        }
        if (option == "--only-binary") return;  // this is how it is anyway
        if (option == "-e" || option == "--editable")
            return refuse(
                "editable packages (-e) are not supported; the function's own files can be "
                "imported as they are");
        refuse("the option " + quoted(option) +
               " is not supported; -r, -c, --index-url, --extra-index-url, --pre, --prefer-binary "
               "and --hash are");
    }

    // A file as one names it from the file that is being read.
    std::string beside(std::string_view value) const {
        std::vector<std::string> parts;
        std::string path =
            x_file.substr(0, x_file.rfind('/') == std::string::npos ? 0 : x_file.rfind('/') + 1) +
            std::string{value};
        for (size_t at = 0; at <= path.size();) {
            const auto end = std::min(path.find('/', at), path.size());
            const auto part = path.substr(at, end - at);
            if (part == ".." && !parts.empty() && parts.back() != "..")
                parts.pop_back();
            else if (!part.empty() && part != ".")
                parts.push_back(part);
            at = end + 1;
        }
        std::string name;
        for (const auto& part : parts) name += (name.empty() ? "" : "/") + part;
        return name;
    }

    const std::vector<File>& x_files;
    std::string x_file;
    uint32_t x_line = 0;
    std::set<std::pair<std::string, const void*>> x_read;  // with the list that they were read into
    bool x_tooMany = false;
};

}  // namespace

std::string whyNotText(std::string_view content) {
    if (content.starts_with("\xFF\xFE") || content.starts_with("\xFE\xFF"))
        return "the file is UTF-16, as some programs of Windows write it; save it as UTF-8";
    return simdjson::validate_utf8(content) ? "" : "the file is not text in UTF-8";
}

std::string normalName(std::string_view name) {
    std::string normal;
    for (const char c : name) {
        if (c != '-' && c != '_' && c != '.')
            normal += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        else if (normal.empty() || normal.back() != '-')
            normal += '-';
    }
    return normal;
}

std::string readRequirement(std::string_view text, Requirement& requirement) {
    auto rest = trimmed(text);
    requirement.text = rest;
    if (rest.empty()) return "a package needs a name";
    if (rest.front() == '-') return quoted(rest) + " is an option, not a package";
    const auto refused = refusal(rest.substr(0, rest.find(';')));
    if (!refused.empty()) return quoted(rest) + " cannot be installed: " + refused;
    const std::string name{takeName(rest)};
    if (name.empty())
        return quoted(text) + " is not a package; write a name such as requests, or requests>=2.31";
    requirement.name = normalName(name);
    rest = trimmed(rest);
    if (!rest.empty() && rest.front() == '[') {
        const auto wrong = readExtras(rest);
        if (!wrong.empty()) return quoted(text) + ": " + wrong;
    }
    if (!rest.empty() && rest.front() == '@')
        return quoted(text) + ": \"@\" is not how a version is chosen here; write " +
               pinned(name, rest.substr(1));
    if (!rest.empty() && rest.front() == '(') {
        const auto close = rest.find(')');
        if (close == std::string_view::npos) return quoted(text) + ": \"(\" is not closed by \")\"";
        auto inside = rest.substr(1, close - 1);
        const auto wrong = takeSpecifiers(inside, name);
        if (!wrong.empty() || !inside.empty()) return quoted(text) + ": " + wrong;
        rest = trimmed(rest.substr(close + 1));
    } else if (!rest.empty() && rest.front() != ';') {
        const auto wrong = takeSpecifiers(rest, name);
        if (!wrong.empty()) return quoted(text) + ": " + wrong;
    }
    if (!rest.empty() && (rest.front() != ';' || !Marker{rest.substr(1)}.sound()))
        return quoted(text) + " cannot be understood from " + quoted(rest) +
               " on; write for example " + name + ">=1,<2; python_version >= \"3.8\"";
    return {};
}

Requirements readRequirements(const std::vector<File>& files, std::string_view name) {
    Reader reader{files};
    reader.read(std::string{name}, reader.result.packages, 0);
    return std::move(reader.result);
}

}  // namespace cf::python
