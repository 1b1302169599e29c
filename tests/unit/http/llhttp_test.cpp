// The request corpus of llhttp (github.com/nodejs/llhttp, test/request): every fenced `http` block
// is an input, its `log` block tells whether llhttp takes it. What llhttp refuses we refuse; what
// only its lenient modes take we refuse; what it takes we take, but for the differences listed
// here.
#include <filesystem>
#include <fstream>
#include <map>

#include "support.hpp"

namespace cf::http {

namespace {

struct Case {
    std::string name{};  // "file: title"
    std::string type{};  // of the block's meta comment
    std::string input{};
    bool refused = false;  // by llhttp
};

// Taken by llhttp, refused by us, and with what. Some inputs stand for several with one title.
const std::map<std::string, int> stricter{
    // Methods of other protocols, and tunnels: none of ours.
    {"method: REPORT request", 501},
    {"method: CONNECT request", 501},
    {"method: CONNECT request with CAPS", 501},
    {"method: CONNECT with body", 501},
    {"method: M-SEARCH request", 501},
    {"method: PURGE request", 501},
    {"method: SEARCH request", 501},
    {"method: LINK request", 501},
    {"method: SOURCE request", 501},
    {"method: PRI request HTTP2", 501},
    {"method: QUERY request", 501},
    {"uri: Underscore in hostname", 501},
    // Other protocols than HTTP/1.x.
    {"method: SOURCE request with ICE", 400},
    {"method: OPTIONS request with RTSP", 400},
    {"method: ANNOUNCE request with RTSP", 400},
    {"sample: No HTTP version", 400},
    // Transfer codings other than one "chunked", where RFC 9112 section 6.1 asks for 501 or leaves
    // the choice; their
    // targets have a fragment besides.
    {"transfer-encoding: POST with `chunked` as last transfer-encoding", 400},
    {"transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)", 400},
    // RFC 9112 section 3.2 has no fragment in a target, RFC 9110 section 4.2.4 wants user
    // information refused.
    {"uri: Fragment in URI", 400},
    {"uri: `host:port` and basic auth", 400},
    // Two empty lines in front of a request, where RFC 9112 section 2.2 asks to bear one.
    {"connection: CRLF between requests, implicit `keep-alive`", 400},
};

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
        text.replace(at, what.size(), with);
    return text;
}

std::string unescaped(std::string text) {
    text = replaced(replaced(std::move(text), "\\\n", ""), "\n", "\r\n");
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        const char next = at + 1 < text.size() ? text[at + 1] : '\0';
        if (text[at] != '\\' || std::string_view("rntfx").find(next) == std::string_view::npos ||
            next == '\0') {
            out += text[at];
            continue;
        }
        ++at;
        if (next == 'x') {
            out += static_cast<char>(std::strtol(text.substr(at + 1, 2).c_str(), nullptr, 16));
            at += 2;
        } else {
            out += next == 'r' ? '\r' : next == 'n' ? '\n' : next == 't' ? '\t' : '\f';
        }
    }
    return out;
}

// Most inputs have no Host, which says nothing about what they are meant to test.
std::string withHost(std::string input) {
    std::string lowered;
    for (const char c : input)
        lowered += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (lowered.find("\nhost:") != std::string::npos) return input;
    for (const std::string version : {" HTTP/1.1\r\n", " HTTP/1.0\r\n"})
        input = replaced(std::move(input), version, version + "Host: example\r\n");
    return input;
}

// True for a log with an error other than 21 to 23, which tell of pauses.
bool tellsOfError(std::string_view log) {
    const size_t at = log.find("error code=");
    if (at == std::string_view::npos) return false;
    const std::string_view code = log.substr(at + 11, 3);
    return code != "21 " && code != "22 " && code != "23 ";
}

std::vector<Case> casesOf(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::vector<Case> cases;
    std::string title, type, line;
    const auto block = [&] {
        std::string text;
        for (bool first = true; std::getline(stream, line) && line != "```"; first = false)
            (text += first ? "" : "\n") += line;
        return text;
    };
    while (std::getline(stream, line)) {
        const size_t meta = line.find("\"type\"");
        if (line.starts_with("#"))
            title = line.substr(line.find_first_not_of("# "));
        else if (meta != std::string::npos) {
            const size_t begin = line.find('"', line.find(':', meta)) + 1;
            type = line.substr(begin, line.find('"', begin) - begin);
        } else if (line == "```http")
            cases.push_back(
                {file.stem().string() + ": " + title, type, withHost(unescaped(block()))});
        else if (line == "```log" && !cases.empty())
            cases.back().refused = tellsOfError(block());
    }
    return cases;
}

// Some inputs end before the line that is wrong does: with the line's end it must be refused. What
// stands behind a request that closes its connection is an error to llhttp, and nothing that we
// look at.
bool refuses(const std::string& input) {
    const ParseOutcome outcome = parseStream(input);
    return outcome.status != 0 || outcome.ignored ||
           (outcome.incomplete && parseStream(input + "\r\n\r\n").status != 0);
}

std::filesystem::path folder() {
    return std::filesystem::path(CORPORA) / "llhttp";
}

}  // namespace

class LlhttpTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LlhttpTest);
    CPPUNIT_TEST(testCorpus);
    CPPUNIT_TEST_SUITE_END();

public:
    void testCorpus() {
        size_t seen = 0;
        std::string wrong;
        for (const auto& entry : std::filesystem::directory_iterator(folder())) {
            if (entry.path().extension() != ".md") continue;
            for (const Case& one : casesOf(entry.path())) {
                ++seen;
                const ParseOutcome outcome = parseStream(one.input),
                                   pieces = parseStream(one.input, 1);
                if (outcome.requests != pieces.requests ||
                    (outcome.status == 0) != (pieces.status == 0))
                    wrong += one.name + ": differs when it comes byte by byte\n";
                const auto known = stricter.find(one.name);
                const bool expected = one.refused || one.type.find("lenient") != std::string::npos;
                const bool fine = known != stricter.end() ? outcome.status == known->second
                                  : expected              ? refuses(one.input)
                                                          : outcome.status == 0;
                if (!fine)
                    wrong += one.name + " (" + one.type + "): " + std::to_string(outcome.status) +
                             " " + outcome.detail + "\n";
            }
        }
        CPPUNIT_ASSERT_MESSAGE("only " + std::to_string(seen) + " inputs were found", seen > 100);
        CPPUNIT_ASSERT_MESSAGE(wrong, wrong.empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LlhttpTest);

}  // namespace cf::http
