// The reader of what the unpacking process says, which may say anything.
#include <cppunit/extensions/HelperMacros.h>

#include "app/archive_frames.hpp"
#include "app/unpack.hpp"
#include "functions/file_names.hpp"

namespace cf::app {

using namespace std::string_literals;
using namespace std::string_view_literals;

class ArchiveFramesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ArchiveFramesTest);
    CPPUNIT_TEST(files);
    CPPUNIT_TEST(anyPieces);
    CPPUNIT_TEST(brokenFrames);
    CPPUNIT_TEST(limits);
    CPPUNIT_TEST(names);
    CPPUNIT_TEST(refusals);
    CPPUNIT_TEST(commonFolders);
    CPPUNIT_TEST(looks);
    CPPUNIT_TEST(clashes);
    CPPUNIT_TEST_SUITE_END();

    static std::string frame(char kind, std::string_view payload) {
        std::string out(1, kind);
        for (size_t i = 0; i < 4; ++i) out += static_cast<char>(payload.size() >> (8 * i) & 0xff);
        return out.append(payload);
    }
    static base::Result<std::vector<functions::SourceFile>> read(const std::string& output,
                                                                 ArchiveLimits limits = {},
                                                                 size_t piece = 1000) {
        ArchiveReader reader(limits);
        for (size_t at = 0; at < output.size(); at += piece)
            if (!reader.take(std::string_view(output).substr(at, piece))) break;
        return reader.finish();
    }
    static std::string reasonOf(const std::string& output, ArchiveLimits limits = {}) {
        const auto result = read(output, limits);
        return result ? "fine" : result.failure().reason;
    }
    const std::string end_ = frame('E', "");

    void files() {
        const auto found = read(frame('D', "b") + frame('F', "b/two") + frame('C', "2") +
                                frame('C', "2") + frame('F', "a") + end_);
        CPPUNIT_ASSERT(found);
        CPPUNIT_ASSERT(*found == (std::vector<functions::SourceFile>{{"a", ""}, {"b/two", "22"}}));
    }

    void anyPieces() {
        const std::string output = frame('F', "a") + frame('C', std::string(300, 'x')) + end_;
        for (size_t piece = 1; piece < 20; ++piece) {
            const auto found = read(output, {}, piece);
            CPPUNIT_ASSERT(found);
            CPPUNIT_ASSERT_EQUAL(size_t{300}, found->front().content.size());
        }
    }

    void brokenFrames() {
        const std::string fine = frame('F', "a") + frame('C', "x");
        CPPUNIT_ASSERT_EQUAL("fine"s, reasonOf(fine + end_));
        for (const std::string& broken :
             {""s, fine, fine + "E", frame('C', "x") + end_, frame('D', "d") + frame('C', "x") + end_,
              fine + frame('Z', "") + end_, fine + end_ + "x", fine + end_ + end_,
              fine + "C\xff\xff\xff\xff" + std::string(100, 'x')})
            CPPUNIT_ASSERT_EQUAL("sandbox_failed"s, reasonOf(broken));
        CPPUNIT_ASSERT_EQUAL("invalid_archive"s, reasonOf(end_));
    }

    void limits() {
        const ArchiveLimits small{.unpackedBytes = 5, .entries = 2};
        CPPUNIT_ASSERT_EQUAL("fine"s,
                             reasonOf(frame('F', "a") + frame('C', "12345") + frame('F', "b") + end_, small));
        const auto large =
            read(frame('F', "a") + frame('C', "123") + frame('F', "b") + frame('C', "456"), small);
        CPPUNIT_ASSERT_EQUAL("5 bytes"s, large.failure().limit);
        const auto many = read(frame('F', "a") + frame('D', "b") + frame('F', "c"), small);
        CPPUNIT_ASSERT_EQUAL("2 files"s, many.failure().limit);
        // The folders of names count too, those that nothing lies in and the one around everything
        // do not stay.
        CPPUNIT_ASSERT_EQUAL("fine"s, reasonOf(frame('F', "top/a") + frame('F', "top/b") + end_, small));
        CPPUNIT_ASSERT_EQUAL("fine"s, reasonOf(frame('F', "top/a/b") + end_, small));
        CPPUNIT_ASSERT_EQUAL("2 files"s,
                             read(frame('F', "a/b") + frame('F', "c") + end_, small).failure().limit);
        std::string deep = "f";
        for (int i = 0; i < 64; ++i) deep = "a/" + deep;
        CPPUNIT_ASSERT_EQUAL("invalid_archive"s, reasonOf(frame('F', deep) + end_));
        const std::string part(204, 'p'), five = part + "/" + part + "/" + part + "/" + part + "/" + part;
        CPPUNIT_ASSERT_EQUAL("fine"s, reasonOf(frame('F', five) + end_));
        CPPUNIT_ASSERT_EQUAL("invalid_archive"s, reasonOf(frame('F', five + "p") + end_));
    }

    void names() {
        for (const std::string_view name : {"/a"sv, "../a"sv, "a/../b"sv, "a\\b"sv, "a\0b"sv, ""sv,
                                            "a//b"sv, "./a"sv, "\xff"sv, "a\n"sv})
            for (const char kind : {'F', 'D'})
                CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(name), "invalid_archive"s,
                                             reasonOf(frame(kind, name) + end_));
        for (const auto& two : {std::pair("a", "A"), std::pair("a", "a"), std::pair("a", "a/b"),
                                std::pair("\u00e9", "e\u0301")})
            CPPUNIT_ASSERT_EQUAL("invalid_archive"s,
                                 reasonOf(frame('F', two.first) + frame('F', two.second) + end_));
    }

    void refusals() {
        const auto refused = read(frame('F', "a") + frame('R', "the entry \xff is odd") + end_);
        CPPUNIT_ASSERT_EQUAL("invalid_archive"s, refused.failure().reason);
        CPPUNIT_ASSERT_EQUAL("the entry \ufffd is odd"s, refused.failure().detail);
    }

    void commonFolders() {
        const auto stripped = [](std::initializer_list<const char*> given) {
            std::vector<functions::SourceFile> list;
            for (const char* name : given) list.push_back({name, ""});
            stripCommonFolder(list);
            std::string out;
            for (const auto& file : list) out += file.name + " ";
            return out;
        };
        CPPUNIT_ASSERT_EQUAL("b c/d "s, stripped({"a/b", "a/c/d"}));
        CPPUNIT_ASSERT_EQUAL("a/b ab/c "s, stripped({"a/b", "ab/c"}));
        CPPUNIT_ASSERT_EQUAL("a/b c "s, stripped({"a/b", "c"}));
        CPPUNIT_ASSERT_EQUAL("a "s, stripped({"a"}));
        CPPUNIT_ASSERT_EQUAL("b/c "s, stripped({"a/b/c"}));
    }

    void looks() {
        CPPUNIT_ASSERT_EQUAL(""s, looksLike("PK\3\4"));
        CPPUNIT_ASSERT_EQUAL("JSON"s, looksLike(" {}"));
        CPPUNIT_ASSERT_EQUAL("a RAR archive"s, looksLike("Rar!\x1a\x07"));
        CPPUNIT_ASSERT_EQUAL("text"s, looksLike("hello"));
        CPPUNIT_ASSERT(!whyBadZip("PK\3\4").empty());
        CPPUNIT_ASSERT_EQUAL(""s, whyBadZip("PK\5\6" + std::string(18, '\0')));
        CPPUNIT_ASSERT(!whyBadZip("xPK\5\6" + std::string(18, '\0')).empty());
    }

    void clashes() {
        using functions::findNameClashes;
        CPPUNIT_ASSERT(findNameClashes({{"a/b"}, {"a-b"}, {"A/c"}, {"a", true}, {"A", true}}).empty());
        CPPUNIT_ASSERT_EQUAL(size_t{1}, findNameClashes({{"a"}, {"a-"}, {"a/b"}}).size());
        CPPUNIT_ASSERT_EQUAL(size_t{1}, findNameClashes({{"stra\u00dfe"}, {"STRASSE"}}).size());
        CPPUNIT_ASSERT_EQUAL(size_t{2}, findNameClashes({{"a"}, {"A"}, {"a"}}).size());
    }
};
CPPUNIT_TEST_SUITE_REGISTRATION(ArchiveFramesTest);

}  // namespace cf::app
