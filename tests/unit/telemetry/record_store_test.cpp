// Records on disk: what is written comes back, pages, filters, old ones go, a damaged file does not
// stop the platform.
#include "telemetry/record_store.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <filesystem>

#include "samples.hpp"
#include "temp_folder.hpp"

namespace cf::test {

using telemetry::InvocationRecord;
using telemetry::RecordStore;
using telemetry::Status;

class RecordStoreTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RecordStoreTest);
    CPPUNIT_TEST(comesBackWhole);
    CPPUNIT_TEST(pages);
    CPPUNIT_TEST(filters);
    CPPUNIT_TEST(requestIds);
    CPPUNIT_TEST(oneIdTwice);
    CPPUNIT_TEST(pausesWhileItWrites);
    CPPUNIT_TEST(oldOnesGo);
    CPPUNIT_TEST(tooManyGo);
    CPPUNIT_TEST(theFilesBecomeSmaller);
    CPPUNIT_TEST(aClockThatWasWrong);
    CPPUNIT_TEST(damagedFileIsSetAside);
    CPPUNIT_TEST(damageWhileInUseIsSetAside);
    CPPUNIT_TEST(laterReleaseIsSetAside);
    CPPUNIT_TEST(folderThatIsNotThere);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        folder_ = std::make_unique<TempFolder>();
        open();
    }
    void tearDown() override {
        store_.reset();
        folder_.reset();
    }

    void comesBackWhole() {
        auto record = sampleRecord(1, Status::failure);
        record.log = std::string("line\n\0zero\xff", 11);
        record.errorMessage = std::string("a\0b", 3);
        record.logDropped = 5;
        CPPUNIT_ASSERT(store_->write({record}));
        // A NUL would end the text where it stands.
        record.log = "line\n\xEF\xBF\xBDzero\xff";
        record.errorMessage =
            "a\xEF\xBF\xBD"
            "b";
        open();
        const auto found = store_->find(sampleId(1));
        CPPUNIT_ASSERT(found);
        CPPUNIT_ASSERT_EQUAL(telemetry::recordJson(record, "n", true),
                             telemetry::recordJson(*found, "n", true));
        CPPUNIT_ASSERT_EQUAL(record.log, found->log);
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), store_->find(sampleId(2)).failure().reason);
    }

    void pages() {
        std::vector<InvocationRecord> records;
        for (uint64_t i = 0; i < 25; ++i) records.push_back(sampleRecord(i));
        records.push_back(sampleRecord(30, Status::success, "fn_b"));
        CPPUNIT_ASSERT(store_->write(records));
        std::string before;
        std::vector<std::string> seen;
        for (int page = 0; page < 4; ++page) {
            const auto list = store_->list({.functionId = "fn_a", .before = before, .limit = 10});
            for (const auto& record : *list) seen.push_back(record.invocationId);
            if (!list->empty()) before = list->back().invocationId;
        }
        CPPUNIT_ASSERT_EQUAL(size_t{25}, seen.size());
        for (size_t i = 0; i < seen.size(); ++i) CPPUNIT_ASSERT_EQUAL(sampleId(24 - i), seen[i]);
    }

    void filters() {
        CPPUNIT_ASSERT(store_->write({sampleRecord(1), sampleRecord(2, Status::error),
                                      sampleRecord(3, Status::failure), sampleRecord(4)}));
        for (const Status status : {Status::success, Status::error, Status::failure}) {
            const auto list = store_->list({.functionId = "fn_a", .status = status});
            CPPUNIT_ASSERT_EQUAL(status == Status::success ? size_t{2} : size_t{1}, list->size());
            for (const auto& record : *list) CPPUNIT_ASSERT(record.status == status);
        }
    }

    void requestIds() {
        auto other = sampleRecord(3, Status::success, "fn_b"), again = sampleRecord(2);
        other.requestId = again.requestId = "request-1";
        CPPUNIT_ASSERT(store_->write({sampleRecord(1), again, other}));
        const auto ids = store_->withRequestId("fn_a", "request-1");
        CPPUNIT_ASSERT(*ids == (std::vector<std::string>{sampleId(2), sampleId(1)}));
    }

    void oneIdTwice() {
        auto second = sampleRecord(1);
        second.functionName = "other";
        CPPUNIT_ASSERT(store_->write({sampleRecord(1), second, sampleRecord(2)}));
        CPPUNIT_ASSERT_EQUAL(std::string("hello"), store_->find(sampleId(1))->functionName);
        CPPUNIT_ASSERT(store_->find(sampleId(2)));
    }

    void pausesWhileItWrites() {
        for (const size_t count : {size_t{16}, size_t{100}, size_t{10'000}}) {
            std::vector<InvocationRecord> records(count, sampleRecord(1));
            size_t pauses = 0;
            CPPUNIT_ASSERT(store_->write(records, [&] { ++pauses; }));
            CPPUNIT_ASSERT_EQUAL(count == 16 ? size_t{0} : count == 100 ? 6 : 63, pauses);
        }
    }

    void oldOnesGo() {
        auto old = sampleRecord(1);
        old.receivedAtMs -= 2 * 3'600'000;
        old.log = "printed";
        CPPUNIT_ASSERT(store_->write({old, sampleRecord(2)}));
        CPPUNIT_ASSERT(!store_->trim(std::chrono::hours(3), 1u << 30));
        CPPUNIT_ASSERT(store_->find(sampleId(1)));
        CPPUNIT_ASSERT(!store_->trim(std::chrono::hours(1), 1u << 30));
        CPPUNIT_ASSERT(!store_->find(sampleId(1)));
        CPPUNIT_ASSERT(store_->find(sampleId(2)));
        // What an old record printed has gone as well: the same id comes back without it.
        CPPUNIT_ASSERT(store_->write({sampleRecord(1)}));
        CPPUNIT_ASSERT_EQUAL(std::string(), store_->find(sampleId(1))->log);
    }

    void tooManyGo() {
        std::vector<InvocationRecord> records;
        for (uint64_t i = 0; i < 20'000; ++i) records.push_back(sampleRecord(i));
        CPPUNIT_ASSERT(store_->write(records));
        constexpr uint64_t limit = 800'000;
        int rounds = 1;
        while (store_->trim(std::chrono::hours(1), limit)) ++rounds;
        CPPUNIT_ASSERT(rounds >= 2);
        CPPUNIT_ASSERT(!store_->find(sampleId(0)));
        // Below the limit nothing more goes.
        CPPUNIT_ASSERT(store_->write({sampleRecord(30'000)}));
        CPPUNIT_ASSERT(!store_->trim(std::chrono::hours(1), limit));
        CPPUNIT_ASSERT(store_->find(sampleId(30'000)));
    }

    void theFilesBecomeSmaller() {
        std::vector<InvocationRecord> records;
        for (uint64_t i = 0; i < 1000; ++i) {
            records.push_back(sampleRecord(i));
            records.back().log = std::string(16'000, 'x');
        }
        CPPUNIT_ASSERT(store_->write(records));
        CPPUNIT_ASSERT(store_->bytes() > 16'000'000);
        constexpr uint64_t limit = 2'000'000;
        while (store_->trim(std::chrono::hours(1), limit)) {
        }
        CPPUNIT_ASSERT(std::filesystem::file_size(file()) <= limit);
        CPPUNIT_ASSERT(std::filesystem::file_size(file() + "-wal") <= 4u << 20);
        CPPUNIT_ASSERT(store_->find(sampleId(999)));
        CPPUNIT_ASSERT_EQUAL(size_t{16'000}, store_->find(sampleId(999))->log.size());
        const auto left = store_->list({.functionId = "fn_a", .limit = 1000})->size();
        CPPUNIT_ASSERT_MESSAGE("not more than needed", left > 50 && left < 125);
        // The rest grows old.
        while (store_->trim(std::chrono::milliseconds(-1000), limit)) {
        }
        CPPUNIT_ASSERT(store_->bytes() < limit / 8);
    }

    void aClockThatWasWrong() {
        constexpr int64_t hour = 3'600'000;
        std::vector<InvocationRecord> records;
        for (uint64_t i = 0; i < 300; ++i) records.push_back(sampleRecord(i));
        for (auto& record : records) record.log = "printed";
        // Ids of a past that never was, and of a future that is over.
        for (size_t i = 100; i < 300; ++i)
            if (i < 200 || i >= 290) records[i].receivedAtMs -= 2 * hour;
        CPPUNIT_ASSERT(store_->write(records));
        while (store_->trim(std::chrono::hours(1), 1u << 30)) {
        }
        CPPUNIT_ASSERT_EQUAL(size_t{190},
                             store_->list({.functionId = "fn_a", .limit = 1000})->size());
        for (const uint64_t id : {0, 99, 200, 289}) CPPUNIT_ASSERT(store_->find(sampleId(id)));
        for (const uint64_t id : {100, 199, 290, 299}) CPPUNIT_ASSERT(!store_->find(sampleId(id)));
        CPPUNIT_ASSERT(store_->write({sampleRecord(150)}));
        CPPUNIT_ASSERT_EQUAL(std::string(), store_->find(sampleId(150))->log);
    }

    void damagedFileIsSetAside() {
        store_.reset();
        writeFile(file(), "this was a database once " + std::string(10'000, 'x'));
        open();
        CPPUNIT_ASSERT(store_->write({sampleRecord(1)}));
        CPPUNIT_ASSERT(store_->find(sampleId(1)));
        CPPUNIT_ASSERT_EQUAL(1, filesAside());
    }

    void damageWhileInUseIsSetAside() {
        std::vector<InvocationRecord> records;
        for (uint64_t i = 0; i < 2000; ++i) records.push_back(sampleRecord(i));
        CPPUNIT_ASSERT(store_->write(records));
        open();  // which brings all of it to the file itself
        std::string bytes = readFile(file());
        std::fill(bytes.begin() + 8192, bytes.end(), '\xA5');
        writeFile(file(), bytes);
        open();  // looks at the first pages only
        const auto refused = store_->write({sampleRecord(5000)});
        CPPUNIT_ASSERT(!refused);
        CPPUNIT_ASSERT(!refused.failure().detail.empty());
        CPPUNIT_ASSERT(!store_->find(sampleId(5000)));
        CPPUNIT_ASSERT(store_->write({sampleRecord(5001)}));
        CPPUNIT_ASSERT(store_->find(sampleId(5001)));
        CPPUNIT_ASSERT_EQUAL(1, filesAside());
    }

    void laterReleaseIsSetAside() {
        store_.reset();
        std::string bytes = readFile(file());
        bytes[63] = 99;  // the user version in SQLite's file header
        writeFile(file(), bytes);
        open();
        CPPUNIT_ASSERT(store_->write({sampleRecord(1)}));
    }

    void folderThatIsNotThere() {
        const auto store = RecordStore::open(*folder_ / "no/where.db");
        CPPUNIT_ASSERT(!store);
        CPPUNIT_ASSERT_EQUAL(std::string("store_failed"), store.failure().reason);
    }

private:
    int filesAside() const {
        int aside = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder_->path()))
            aside += entry.path().string().find(".damaged-") != std::string::npos;
        return aside;
    }
    std::string file() const { return *folder_ / "records.db"; }
    void open() {
        store_.reset();
        auto store = RecordStore::open(file());
        CPPUNIT_ASSERT_MESSAGE(store ? "" : store.failure().detail, static_cast<bool>(store));
        store_ = *std::move(store);
    }

    std::unique_ptr<TempFolder> folder_;
    std::unique_ptr<RecordStore> store_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RecordStoreTest);

}  // namespace cf::test
