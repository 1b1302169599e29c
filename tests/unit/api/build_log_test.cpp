// Following a build log.
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>
#include <cppunit/extensions/HelperMacros.h>

#include "api/build_log_events.hpp"
#include "client.hpp"

namespace cf::api::test {

class BuildLogTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(BuildLogTest);
    CPPUNIT_TEST(eventsOfLines);
    CPPUNIT_TEST(theLastEvent);
    CPPUNIT_TEST(aBuildThatIsOver);
    CPPUNIT_TEST(aBuildThatRuns);
    CPPUNIT_TEST(aBuildThatFails);
    CPPUNIT_TEST(resuming);
    CPPUNIT_TEST(aClientThatDoesNotRead);
    CPPUNIT_TEST(clientsThatLeave);
    CPPUNIT_TEST(placesForFollowers);
    CPPUNIT_TEST(heartbeats);
    CPPUNIT_TEST(theEndOfThePlatform);
    CPPUNIT_TEST(aLogThatCannotBeRead);
    CPPUNIT_TEST(whatIsNotThere);
    CPPUNIT_TEST_SUITE_END();

    std::shared_ptr<FollowerLimits> limits_ = std::make_shared<FollowerLimits>();
    Client client_{[this](Dependencies& dependencies) { dependencies.followers = limits_; }};
    static constexpr const char* all = "/api/v1/functions";
    static constexpr const char* follow = "/api/v1/functions/f/versions/1/build-log?follow=true";

    void create(const std::string& code, bool async = false) {
        const Answer made =
            client_.call("POST", all, "{'name':'f','runtime':'toy','code':'" + code + "'}",
                         async ? Headers{{"Prefer", "respond-async"}} : Headers{});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, async ? 202 : 201, made.status);
    }
    std::shared_ptr<FakeStream> open(const std::string& target = follow,
                                     const Headers& headers = {}) {
        const auto exchange = client_.send("GET", target, {}, headers);
        const Answer answer = exchange->wait();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("text/event-stream"), answer.headers.at("Content-Type"));
        CPPUNIT_ASSERT_EQUAL(std::string("no-store"), answer.headers.at("Cache-Control"));
        CPPUNIT_ASSERT(exchange->stream() != nullptr);
        return exchange->stream();
    }
    void untilOpen(size_t count) {
        for (int i = 0; i < 6000 && limits_->open != count; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        CPPUNIT_ASSERT_EQUAL(count, limits_->open.load());
    }

    void eventsOfLines() {
        CPPUNIT_ASSERT_EQUAL(std::string("event: log\nid: 102\ndata: a\n\n"
                                         "event: log\nid: 103\ndata: \n\n"
                                         "event: log\nid: 109\ndata: b c d\n\n"
                                         "event: log\nid: 112\ndata: end\n\n"),
                             logEvents("a\n\nb c\rd\nend", 100));
        CPPUNIT_ASSERT_EQUAL(std::string(), logEvents("", 7));
    }

    void theLastEvent() {
        CPPUNIT_ASSERT_EQUAL(
            std::string("event: end\nid: end\ndata: {\"state\":\"ready\",\"version\":3}\n\n"),
            endEvent(functions::VersionState::ready, 3, nullptr));
        const base::Failure failure{
            .reason = "build_failed", .detail = "two\nlines", .hint = "think"};
        CPPUNIT_ASSERT_EQUAL(
            std::string("event: end\nid: end\ndata: {\"state\":\"failed\",\"version\":1,\"error\":"
                        "{\"reason\":\"build_failed\",\"detail\":\"two\\nlines\",\"hint\":"
                        "\"think\"}}\n\n"),
            endEvent(functions::VersionState::failed, 1, &failure));
    }

    void aBuildThatIsOver() {
        create("one");
        const std::string text = open()->untilEnded();
        CPPUNIT_ASSERT_EQUAL(
            std::string("event: log\nid: 11\ndata: building f\n\n"
                        "event: end\nid: end\ndata: {\"state\":\"ready\",\"version\":1}\n\n"),
            text);
        untilOpen(0);
    }

    void aBuildThatRuns() {
        create("WAIT", true);
        client_.domain.builder.untilWaiting();
        const auto early = open(), late = open();
        CPPUNIT_ASSERT_EQUAL(std::string("event: log\nid: 11\ndata: building f\n\n"),
                             early->until("building f"));
        late->until("building f");
        CPPUNIT_ASSERT_EQUAL(std::string("building f\n"),
                             client_.call("GET", "/api/v1/functions/f/versions/1/build-log").body);
        client_.domain.builder.release();
        for (const auto& stream : {early, late})
            CPPUNIT_ASSERT(stream->untilEnded().ends_with(
                "event: end\nid: end\ndata: {\"state\":\"ready\",\"version\":1}\n\n"));
        untilOpen(0);
    }

    void aBuildThatFails() {
        create("WAIT BROKEN", true);
        client_.domain.builder.untilWaiting();
        const auto stream = open();
        client_.domain.builder.release();
        const std::string text = stream->untilEnded();
        CPPUNIT_ASSERT_MESSAGE(text, text.find("\"state\":\"failed\"") != text.npos);
        CPPUNIT_ASSERT_MESSAGE(text, text.find("\"reason\":\"build_failed\"") != text.npos);
        CPPUNIT_ASSERT_MESSAGE(text, text.find("data: main.toy, line 3") != text.npos);
    }

    void resuming() {
        create("WARN");
        const std::string whole = open()->untilEnded();
        const size_t second = whole.find("event: log", 1);
        CPPUNIT_ASSERT_EQUAL(whole.substr(second),
                             open(follow, {{"Last-Event-ID", "11"}})->untilEnded());
        CPPUNIT_ASSERT_EQUAL(whole, open(follow, {{"Last-Event-ID", "eleven"}})->untilEnded());
        CPPUNIT_ASSERT(open(follow, {{"Last-Event-ID", "99999"}})->untilEnded().starts_with(
            "event: end"));
        // Who has seen the end is told not to come back.
        const Answer over = client_.call("GET", follow, {}, {{"Last-Event-ID", "end"}});
        CPPUNIT_ASSERT_EQUAL(204, over.status);
    }

    void aClientThatDoesNotRead() {
        create("WAIT WARN", true);
        client_.domain.builder.untilWaiting();
        client_.fullFrom = "building f";
        const auto stream = open();
        stream->until("building f");
        client_.domain.builder.release();
        for (int i = 0; i < 6000; ++i) {
            const Answer version = client_.call("GET", "/api/v1/functions/f/versions/1");
            if (version.at("/state") == "ready") break;
        }
        // Nothing is written, and nothing more is read, until the client has taken what there is.
        CPPUNIT_ASSERT_EQUAL(std::string("event: log\nid: 11\ndata: building f\n\n"),
                             stream->until("building f"));
        client_.onLoop([&] {
            stream->empty();
            stream->drained();
        });
        CPPUNIT_ASSERT(stream->untilEnded().find("event: end") != std::string::npos);
    }

    void clientsThatLeave() {
        create("WAIT", true);
        client_.domain.builder.untilWaiting();
        const auto stays = open(), leaves = open();
        leaves->until("building f");
        client_.onLoop([&] { leaves->clientLeaves(); });
        untilOpen(1);
        client_.domain.builder.release();
        stays->untilEnded();
        CPPUNIT_ASSERT(leaves->until("x").find("event: end") == std::string::npos);
        untilOpen(0);
    }

    void placesForFollowers() {
        limits_->most = 2;
        create("WAIT", true);
        client_.domain.builder.untilWaiting();
        const auto one = open(), two = open();
        const Answer refused = client_.call("GET", follow);
        CPPUNIT_ASSERT_EQUAL(503, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("too_many_followers"), refused.at("/reason"));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, refused.headers.count("Retry-After"));
        client_.onLoop([&] { one->clientLeaves(); });
        untilOpen(1);
        open();
        client_.domain.builder.release();
    }

    void heartbeats() {
        limits_->heartbeat = std::chrono::milliseconds(10);
        create("WAIT", true);
        client_.domain.builder.untilWaiting();
        const auto stream = open();
        CPPUNIT_ASSERT(stream->until(":\n\n", 3).starts_with("event: log\n"));
        client_.domain.builder.release();
        stream->untilEnded();
    }

    void theEndOfThePlatform() {
        create("WAIT", true);
        client_.domain.builder.untilWaiting();
        const auto stream = open();
        stream->until("building f");
        client_.onLoop([&] { stream->stopping(); });
        CPPUNIT_ASSERT(stream->untilEnded().find("event: end") == std::string::npos);
        untilOpen(0);
        client_.domain.builder.release();
    }

    void aLogThatCannotBeRead() {
        create("WAIT", true);
        client_.domain.builder.untilWaiting();
        client_.fullFrom = "building f";
        limits_->faultDelay = std::chrono::milliseconds(20);
        const auto comesBack = open(), lasts = open();
        for (const auto& stream : {comesBack, lasts}) stream->until("building f");
        client_.domain.builder.release();
        while (client_.call("GET", "/api/v1/functions/f/versions/1").at("/state") != "ready") {
        }
        Poco::Data::Session other(Poco::Data::SQLite::Connector::KEY,
                                  (client_.domain.folder.path / "functions.db").string());
        const auto goOn = [&](FakeStream& stream) {
            client_.onLoop([&] {
                stream.empty();
                stream.drained();
            });
        };
        other << "ALTER TABLE version RENAME COLUMN build_log TO away", Poco::Data::Keywords::now;
        // Given up in the end, without a word about the build.
        goOn(*lasts);
        CPPUNIT_ASSERT(lasts->untilEnded().find("event: end") == std::string::npos);
        untilOpen(1);
        client_.onLoop([&] { limits_->faultDelay = std::chrono::milliseconds(200); });
        goOn(*comesBack);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        CPPUNIT_ASSERT(comesBack->until("building f").find("event: end") == std::string::npos);
        other << "ALTER TABLE version RENAME COLUMN away TO build_log", Poco::Data::Keywords::now;
        CPPUNIT_ASSERT(comesBack->untilEnded().ends_with(
            "event: end\nid: end\ndata: {\"state\":\"ready\",\"version\":1}\n\n"));
        untilOpen(0);
    }

    void whatIsNotThere() {
        create("one");
        for (const char* target : {"/api/v1/functions/f/versions/2/build-log?follow=true",
                                   "/api/v1/functions/f/versions/x/build-log?follow=true",
                                   "/api/v1/functions/g/versions/1/build-log?follow=true"}) {
            const Answer answer = client_.call("GET", target);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 404, answer.status);
        }
        untilOpen(0);
    }
};
CPPUNIT_TEST_SUITE_REGISTRATION(BuildLogTest);

}  // namespace cf::api::test
