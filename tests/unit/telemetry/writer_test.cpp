// The one thread that writes: it lets calls go first, and nobody who asks for records waits for that.
#include "telemetry/writer.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <thread>

namespace cf::test {

using telemetry::Writer;

class WriterTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(WriterTest);
    CPPUNIT_TEST(sleepsBetweenPieces);
    CPPUNIT_TEST(doesNotSleepWhileSomebodyWaits);
    CPPUNIT_TEST_SUITE_END();

public:
    void sleepsBetweenPieces() {
        std::atomic<int64_t> slept{-1};
        Writer writer(std::chrono::milliseconds(1));
        writer.add([&] {
            const auto begin = std::chrono::steady_clock::now();
            writer.giveWay();
            int64_t unknown = -1;
            slept.compare_exchange_strong(unknown,
                                          (std::chrono::steady_clock::now() - begin).count());
        });
        writer.start();
        while (slept < 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        CPPUNIT_ASSERT(slept >= 1'000'000);
    }

    // 60 000 pauses would take a minute.
    void doesNotSleepWhileSomebodyWaits() {
        Writer writer(std::chrono::hours(1));
        writer.add([&] {
            for (int i = 0; i < 60'000; ++i) writer.giveWay();
        });
        const auto begin = std::chrono::steady_clock::now();
        writer.start();
        writer.flush(std::chrono::minutes(2));
        writer.stop();
        CPPUNIT_ASSERT(std::chrono::steady_clock::now() - begin < std::chrono::seconds(30));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(WriterTest);

}  // namespace cf::test
