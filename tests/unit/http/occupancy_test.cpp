// What addresses hold: of connections and requests, also of those whose connection is gone.
#include "http/occupancy.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::http {

class OccupancyTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(OccupancyTest);
    CPPUNIT_TEST(testBytesOfAnAddress);
    CPPUNIT_TEST(testLoopbackIsMany);
    CPPUNIT_TEST_SUITE_END();

    std::shared_ptr<Occupancy> all_ = std::make_shared<Occupancy>();

    Occupancy::Seat seat(const std::string& address, bool loopback = false) {
        auto taken = all_->take({address, address, loopback}, {.connections = 10, .perAddress = 2});
        CPPUNIT_ASSERT(taken && taken->excess() == Occupancy::Excess::none);
        return std::move(*taken);
    }

public:
    void testBytesOfAnAddress() {
        Occupancy::Seat one = seat("192.0.2.1"), other = seat("192.0.2.2");
        Occupancy::Load load;
        {
            Occupancy::Seat gone = seat("192.0.2.1");
            gone.changeBuffered(0, 1'000);
            CPPUNIT_ASSERT_EQUAL(size_t{1'000}, one.bytesOfAddress());
            gone.changeBuffered(1'000, 0);
            load = gone.load(500);
        }
        CPPUNIT_ASSERT_EQUAL(size_t{500}, one.bytesOfAddress());
        CPPUNIT_ASSERT_EQUAL(size_t{0}, other.bytesOfAddress());
        // Who hangs up and comes again begins with what is left of him.
        one.release();
        one = seat("192.0.2.1");
        CPPUNIT_ASSERT_EQUAL(size_t{500}, one.bytesOfAddress());
        CPPUNIT_ASSERT_EQUAL(size_t{500}, all_->handled());
        load.reduce(200);
        CPPUNIT_ASSERT_EQUAL(size_t{300}, one.bytesOfAddress());
        one.release();
        load = {};
        CPPUNIT_ASSERT_EQUAL(size_t{0}, all_->handled());
        CPPUNIT_ASSERT_EQUAL(size_t{0}, seat("192.0.2.1").bytesOfAddress());
    }

    void testLoopbackIsMany() {
        Occupancy::Seat one = seat("127.0.0.1", true);
        const Occupancy::Load load = one.load(500);
        CPPUNIT_ASSERT_EQUAL(size_t{500}, all_->handled());
        CPPUNIT_ASSERT_EQUAL(size_t{0}, one.bytesOfAddress());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OccupancyTest);

}  // namespace cf::http
