// The way of a record from a loop to the disk: seen at once by readers, bounded, failures before
// successes.
#include "telemetry/recorder.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "samples.hpp"
#include "temp_folder.hpp"

namespace cf::test {

using telemetry::InvocationRecord;
using telemetry::Recorder;
using telemetry::Status;
using telemetry::Writer;

class RecorderTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RecorderTest);
    CPPUNIT_TEST(readersSeeWhatWasRecorded);
    CPPUNIT_TEST(writtenWithoutBeingAskedFor);
    CPPUNIT_TEST(writtenAtTheEnd);
    CPPUNIT_TEST(successesAboveTheRate);
    CPPUNIT_TEST(failuresHaveRoomOfTheirOwn);
    CPPUNIT_TEST(aDiskThatIsFullForAWhile);
    CPPUNIT_TEST(whatHadNoRoomIsTold);
    CPPUNIT_TEST(printedTextIsBounded);
    CPPUNIT_TEST(theFileHasItsLimit);
    CPPUNIT_TEST(manyThreads);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { folder_ = std::make_unique<TempFolder>(); }
    void tearDown() override {
        writer_.reset();
        recorder_.reset();
        folder_.reset();
    }

    void readersSeeWhatWasRecorded() {
        open({}, std::chrono::hours(1));
        recorder_->record(sampleRecord(1));
        CPPUNIT_ASSERT(recorder_->find(sampleId(1)));
        recorder_->record(sampleRecord(2));
        CPPUNIT_ASSERT_EQUAL(size_t{2}, recorder_->list({.functionId = "fn_a"})->size());
        recorder_->record(sampleRecord(3));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, recorder_->withRequestId("fn_a", "request-3")->size());
    }

    void writtenWithoutBeingAskedFor() {
        open({}, std::chrono::milliseconds(5));
        recorder_->record(sampleRecord(1));
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (recorder_->counts().written == 0 && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, recorder_->counts().written);
    }

    void writtenAtTheEnd() {
        open({}, std::chrono::hours(1));
        recorder_->record(sampleRecord(1));
        writer_->stop();
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, recorder_->counts().written);
        CPPUNIT_ASSERT(recorder_->find(sampleId(1)));
    }

    void successesAboveTheRate() {
        open({.successesPerSecond = 100}, std::chrono::hours(1));
        for (uint64_t i = 0; i < 1000; ++i) {
            if (recorder_->wantsSuccess())
                recorder_->record(sampleRecord(i));
            else
                recorder_->skipped();
        }
        for (uint64_t i = 2000; i < 2010; ++i) recorder_->record(sampleRecord(i, Status::error));
        CPPUNIT_ASSERT(!recorder_->wantsSuccess());
        CPPUNIT_ASSERT_EQUAL(size_t{110},
                             recorder_->list({.functionId = "fn_a", .limit = 5000})->size());
        const auto counts = recorder_->counts();
        CPPUNIT_ASSERT_EQUAL(uint64_t{110}, counts.written);
        CPPUNIT_ASSERT_EQUAL(uint64_t{900}, counts.sampledOut);
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, counts.dropped);
    }

    void failuresHaveRoomOfTheirOwn() {
        open({.successesPerSecond = 5, .queuedFailures = 10}, std::chrono::hours(1));
        for (uint64_t i = 0; i < 20; ++i) recorder_->record(sampleRecord(i));
        for (uint64_t i = 100; i < 120; ++i) recorder_->record(sampleRecord(i, Status::failure));
        CPPUNIT_ASSERT_EQUAL(
            size_t{10}, recorder_->list({.functionId = "fn_a", .status = Status::failure})->size());
        CPPUNIT_ASSERT_EQUAL(
            size_t{5}, recorder_->list({.functionId = "fn_a", .status = Status::success})->size());
        CPPUNIT_ASSERT_EQUAL(uint64_t{10}, recorder_->counts().dropped);
    }

    void aDiskThatIsFullForAWhile() {
        open({.probe = std::chrono::milliseconds(0)}, std::chrono::hours(1));
        recorder_->record(sampleRecord(1));
        writer_->flush();
        ::signal(SIGXFSZ, SIG_IGN);
        rlimit before{};
        ::getrlimit(RLIMIT_FSIZE, &before);
        const rlimit nothing{1, before.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &nothing);
        recorder_->record(sampleRecord(2));
        writer_->flush();
        writer_->flush();
        const std::string trouble = recorder_->trouble();
        ::setrlimit(RLIMIT_FSIZE, &before);
        CPPUNIT_ASSERT_MESSAGE(trouble,
                               trouble.starts_with("1 invocation records could not be written: ") &&
                                   trouble.find(" (since 2") != std::string::npos);
        writer_->flush();  // without another call
        CPPUNIT_ASSERT_EQUAL(std::string(), recorder_->trouble());
        CPPUNIT_ASSERT(recorder_->find(sampleId(1)));
        recorder_->record(sampleRecord(3));
        CPPUNIT_ASSERT(recorder_->find(sampleId(3)));
    }

    void whatHadNoRoomIsTold() {
        open({.queuedFailures = 10}, std::chrono::hours(1));
        for (uint64_t i = 0; i < 15; ++i) recorder_->record(sampleRecord(i, Status::failure));
        CPPUNIT_ASSERT_EQUAL(std::string(), recorder_->trouble());
        writer_->flush();
        const std::string trouble = recorder_->trouble();
        CPPUNIT_ASSERT_MESSAGE(trouble,
                               trouble.starts_with("records of failed calls had no room") &&
                                   trouble.ends_with(": 5 records are missing by now"));
        tearDown();
        setUp();
        open({.queuedFailures = 1, .overflowTold = std::chrono::milliseconds(0)},
             std::chrono::hours(1));
        for (uint64_t i = 0; i < 2; ++i) recorder_->record(sampleRecord(i, Status::failure));
        writer_->flush();
        CPPUNIT_ASSERT_EQUAL_MESSAGE("not for ever", std::string(), recorder_->trouble());
    }

    void printedTextIsBounded() {
        open({.queuedBytes = 20'000}, std::chrono::hours(1));
        for (uint64_t i = 0; i < 3; ++i) {
            auto record = sampleRecord(i, Status::error);
            record.log = std::string(100'000, 'x');
            record.errorMessage = std::string(100'000, 'm');
            recorder_->record(std::move(record));
        }
        const auto first = recorder_->find(sampleId(0)), last = recorder_->find(sampleId(2));
        CPPUNIT_ASSERT_EQUAL(InvocationRecord::logLimit, first->log.size());
        CPPUNIT_ASSERT_EQUAL(100'000 - InvocationRecord::logLimit, first->logDropped);
        CPPUNIT_ASSERT_EQUAL(InvocationRecord::messageLimit, first->errorMessage.size());
        CPPUNIT_ASSERT_EQUAL(std::string(), last->log);
        CPPUNIT_ASSERT_EQUAL(size_t{100'000}, last->logDropped);
    }

    // Not a minute later.
    void theFileHasItsLimit() {
        open({.maxBytes = 1u << 20}, std::chrono::hours(1));
        (void)recorder_->find("");  // the first look
        for (uint64_t i = 0; i < 1000; ++i) {
            auto record = sampleRecord(i);
            record.log = std::string(16'000, 'x');
            recorder_->record(std::move(record));
        }
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        constexpr uint64_t wal = 4u << 20;
        do (void)recorder_->find("");
        while (recorder_->counts().bytes > (1u << 20) + wal &&
               std::chrono::steady_clock::now() < end);
        CPPUNIT_ASSERT(recorder_->counts().bytes <= (1u << 20) + wal);
        CPPUNIT_ASSERT(recorder_->find(sampleId(999)));
    }

    void manyThreads() {
        open({.successesPerSecond = 100'000}, std::chrono::milliseconds(1));
        {
            std::vector<std::jthread> threads;
            for (uint64_t t = 0; t < 4; ++t)
                threads.emplace_back([this, t] {
                    for (uint64_t i = 0; i < 500; ++i)
                        recorder_->record(sampleRecord(
                            t * 1000 + i, i % 2 == 0 ? Status::success : Status::error));
                });
            for (int i = 0; i < 20; ++i) (void)recorder_->list({.functionId = "fn_a"});
        }
        CPPUNIT_ASSERT_EQUAL(size_t{2000},
                             recorder_->list({.functionId = "fn_a", .limit = 5000})->size());
    }

private:
    void open(telemetry::RecorderOptions options, std::chrono::milliseconds interval) {
        options.file = *folder_ / "records.db";
        writer_ = std::make_unique<Writer>(interval);
        auto recorder = Recorder::open(std::move(options), *writer_);
        CPPUNIT_ASSERT(recorder);
        recorder_ = *std::move(recorder);
        writer_->start();
    }

    std::unique_ptr<TempFolder> folder_;
    std::unique_ptr<Writer> writer_;
    std::unique_ptr<Recorder> recorder_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RecorderTest);

}  // namespace cf::test
