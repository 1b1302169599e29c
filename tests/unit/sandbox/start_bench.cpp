// How long a worker takes from the request to its first byte, and from a kill to its end. Not a
// test: run it by hand on a quiet machine, as root. The figures of docs/sandbox.md come from here.
//   bench_sandbox_start [count]        one after the other; each kind of network takes its turn, so
//                                      that whatever else the machine does is shared by all
//   bench_sandbox_start burst [count] [rounds]   count at once, and what they cost together
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>

#include "platform.hpp"

using namespace cf::sandbox;
using namespace cf::sandbox::test;
using Clock = std::chrono::steady_clock;

namespace {

struct Times {
    const char* what;
    std::vector<double> ms{};
    void add(Clock::time_point from, Clock::time_point to) {
        ms.push_back(std::chrono::duration<double, std::milli>(to - from).count());
    }
    void print() {
        std::sort(ms.begin(), ms.end());
        std::printf("%-34s median %6.2f ms  p90 %6.2f ms  worst %6.2f ms\n", what,
                    ms[ms.size() / 2], ms[ms.size() * 9 / 10], ms.back());
    }
};

struct Kind {
    const char* what;
    NetworkPolicy started{}, attached{};
    Times answered{"request to started"}, hello{"request to the stub's HELLO"}, bound{"attach"},
        gone{"kill to the end of its pidfd"};
};

// One worker from its start to its end.
void measure(Platform& platform, const TemporaryFolder& artifact, Kind& kind) {
    WorkerSpec spec;
    spec.argv = {"program"};
    spec.execStub = true;
    spec.network = kind.started;
    auto run = std::make_shared<Run>();
    Clock::time_point began, started, done;
    std::promise<void> known, mounted;
    platform.onLoop([&](LauncherClient& client) {
        began = Clock::now();
        client.startWorker(
            spec,
            [&, run](auto result) {
                started = Clock::now();
                if (!result) std::fprintf(stderr, "%s\n", result.failure().detail.c_str());
                if (!result) std::exit(1);
                run->worker = std::move(*result);
                run->task = run->worker.task;
                known.set_value();
            },
            [](const Ended&) {});
    });
    known.get_future().wait();
    kind.answered.add(began, started);
    pollfd ready{run->worker.socket.get(), POLLIN, 0};
    ::poll(&ready, 1, 5000);
    kind.hello.add(began, Clock::now());
    platform.onLoop([&](LauncherClient& client) {
        began = Clock::now();
        client.attach(run->task, {.artifactDir = artifact.path.string(), .network = kind.attached}, [&](auto) {
            done = Clock::now();
            mounted.set_value();
        });
    });
    mounted.get_future().wait();
    kind.bound.add(began, done);
    const auto killed = Clock::now();
    platform.kill(*run);
    pollfd end{run->worker.pidfd.get(), POLLIN, 0};
    ::poll(&end, 1, 5000);
    kind.gone.add(killed, Clock::now());
}

double seconds(const timeval& time) { return double(time.tv_sec) + double(time.tv_usec) / 1e6; }

// `count` requests in the same instant. Of the launcher and everything it started, the processor
// time is what they cost; it is known when all of them are gone.
void burst(const NetworkPolicy& network, const char* what, int count) {
    Times hello{what};
    rusage before{}, after{};
    ::getrusage(RUSAGE_CHILDREN, &before);
    double idle = 0;
    for (const bool counts : {false, true}) {
        Platform platform;
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        std::vector<std::shared_ptr<Run>> runs;
        WorkerSpec spec;
        spec.argv = {"program"};
        spec.execStub = true;
        spec.network = network;
        const auto began = Clock::now();
        for (int i = 0; counts && i < count; ++i) runs.push_back(platform.startWorker(spec));
        for (const auto& run : runs) {
            platform.until([&] { return run->answered; }, "a worker");
            if (!run->started) std::fprintf(stderr, "%s\n", run->failure.c_str());
            if (!run->started) std::exit(1);
            pollfd ready{run->worker.socket.get(), POLLIN, 0};
            ::poll(&ready, 1, 5000);
            hello.add(began, Clock::now());
        }
        for (const auto& run : runs) platform.kill(*run);
        platform.close();
        ::getrusage(RUSAGE_CHILDREN, &after);
        const double used = seconds(after.ru_utime) + seconds(after.ru_stime) -
                            seconds(before.ru_utime) - seconds(before.ru_stime);
        before = after;
        if (!counts) idle = used;
        if (!counts) continue;
        hello.print();
        std::printf("  processor time of each %.2f ms\n", (used - idle) * 1000 / count);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string(argv[1]) == "launcher") return launcherMain(3);
    if (argc > 1 && std::string(argv[1]) == "burst") {
        const int count = argc > 2 ? std::atoi(argv[2]) : 50;
        for (int round = argc > 3 ? std::atoi(argv[3]) : 3; round > 0; --round) {
            burst({}, "at once, network none", count);
            burst({Network::outbound}, "at once, network outbound", count);
        }
        return 0;
    }
    const int count = argc > 1 ? std::atoi(argv[1]) : 200;
    Platform platform;
    const TemporaryFolder artifact;
    const NetworkPolicy outbound{Network::outbound}, list{Network::outbound, {"192.0.2.1", "api.example"}};
    Kind kinds[] = {{"network none", {}, {}},
                    {"network outbound", outbound, outbound},
                    {"outbound, bound to a list", outbound, list},
                    {"outbound, bound to none", outbound, {}}};
    for (int i = 0; i < count; ++i)
        for (Kind& kind : kinds) measure(platform, artifact, kind);
    for (Kind& kind : kinds) {
        std::printf("%s\n", kind.what);
        for (Times* times : {&kind.answered, &kind.hello, &kind.bound, &kind.gone}) times->print();
    }
}
