// A launcher without processes: each "worker" is the other end of a socket pair, played by the test on the same loop.
#pragma once

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "protocol/frame.hpp"
#include "sandbox/worker_launcher.hpp"
#include "workers/watch.hpp"

namespace cf::workers::test {

// What the test's side of one worker does and has seen.
class FakeWorker {
public:
    FakeWorker(base::EventLoop& loop, sandbox::TaskId task, sandbox::WorkerLauncher::EndedCallback ended)
        : loop_(loop), task_(task), ended_(std::move(ended)) {
        int socket[2], output[2], errors[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socket) != 0 || ::pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0 ||
            ::pipe2(errors, O_CLOEXEC | O_NONBLOCK) != 0)
            throw std::system_error(errno, std::generic_category(), "a fake worker");
        socket_.reset(socket[1]);
        output_.reset(output[1]);
        errors_.reset(errors[1]);
        kernel_.task = task;
        kernel_.socket.reset(socket[0]);
        kernel_.output.reset(output[0]);
        kernel_.errors.reset(errors[0]);
        watch_ = std::make_unique<Watch>(loop_, socket_.get(), EPOLLIN, [this](uint32_t) { read(); });
    }

    // What Linux's memory controller says that it has used at most.
    void uses(uint64_t bytes) {
        const std::string text = std::to_string(bytes) + "\n";
        if (!kernel_.memoryPeak && memory_ < 0) {
            memory_ = ::memfd_create("peak", MFD_CLOEXEC);
            kernel_.memoryPeak.reset(memory_);
        }
        if (::ftruncate(memory_, 0) != 0 || ::pwrite(memory_, text.data(), text.size(), 0) < 0)
            throw std::system_error(errno, std::generic_category(), "a fake worker's memory");
    }
    sandbox::WorkerLauncher::Worker takeKernelEnds() { return std::move(kernel_); }

    void send(protocol::FrameType type, uint64_t id, const std::function<void(std::string&)>& payload = {}) {
        std::string out;
        const size_t start = protocol::beginFrame(out, type, id);
        if (payload) payload(out);
        protocol::endFrame(out, start);
        raw(out);
    }
    void raw(std::string_view bytes) { [[maybe_unused]] const ssize_t put = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    void hello() {
        send(protocol::FrameType::hello, 0, [this](std::string& out) { protocol::putItem(out, protocol::Tag::version, version); });
    }
    // `runNs`: what it says the handler took; 0: nothing, and the time until now counts.
    void answer(uint64_t id, std::string_view json, protocol::FrameType type = protocol::FrameType::result, uint64_t runNs = 0) {
        send(type, id, [&](std::string& out) {
            protocol::putU32(out, static_cast<uint32_t>(json.size()));
            out.append(json);
            if (runNs != 0) protocol::putItem(out, protocol::Tag::runNs, runNs);
        });
        ++answers;
        leaveWhenDone();
    }
    // The process ends: descriptors close, the launcher reports.
    void end(sandbox::Ended how) {
        if (!alive) return;
        alive = false;
        watch_.reset();
        socket_.reset();
        output_.reset();
        errors_.reset();
        loop_.post([ended = ended_, how] { ended(how); });
    }
    // What comes first when a process ends: the launcher's report is on its way.
    void hangUp() {
        watch_.reset();
        socket_.reset();
    }
    void print(std::string_view text) { [[maybe_unused]] const ssize_t put = ::write(errors_.get(), text.data(), text.size()); }

    bool alive = true;
    bool bound = false;               // got a LOAD
    uint64_t version = protocol::protocolVersion;
    bool autoAnswer = true;           // answers INVOKE with the event
    std::function<bool(std::string_view event)> holds{};  // does not answer these by itself
    bool stopping = false;
    bool lingers = false;             // stays where it was asked to leave
    size_t killed = 0;
    size_t answers = 0;
    size_t load() const { return calls.size() - answers; }
    std::vector<uint64_t> calls{};    // ids of INVOKE so far
    std::vector<uint64_t> beginBy{};  // of each, in microseconds; 0: it has none
    std::vector<uint64_t> cancelled{};
    std::vector<protocol::FrameType> seen{};
    std::string attached{};
    std::function<void(FakeWorker&)> onLoad = [](FakeWorker& worker) { worker.send(protocol::FrameType::ready, 0); };
    std::function<void(FakeWorker&)> onCheck = [](FakeWorker& worker) {
        worker.send(protocol::FrameType::checked, 0, [](std::string& out) { out += "[]"; });
    };
    sandbox::TaskId task() const { return task_; }

private:
    // What STOP asks for: finish what runs, then leave.
    void leaveWhenDone() {
        if (stopping && !lingers && answers >= calls.size()) end({.exitCode = 0});
    }

    void read() {
        char* space = decoder_.space();
        const ssize_t got = ::recv(socket_.get(), space, decoder_.room(), MSG_DONTWAIT);
        if (got <= 0) return end({.exitCode = 0});
        decoder_.filled(static_cast<size_t>(got));
        protocol::Frame frame{};
        while (alive && decoder_.next(frame) == protocol::FrameDecoder::State::frame) {
            seen.push_back(frame.type);
            switch (frame.type) {
                case protocol::FrameType::load: bound = true; onLoad(*this); break;
                case protocol::FrameType::check: onCheck(*this); break;
                case protocol::FrameType::cancel: cancelled.push_back(frame.id); break;
                case protocol::FrameType::stop: stopping = true; leaveWhenDone(); break;
                case protocol::FrameType::invoke: {
                    calls.push_back(frame.id);
                    uint32_t size = 0;
                    frame.payload.copy(reinterpret_cast<char*>(&size), 4);
                    const std::string_view event = frame.payload.substr(8, size);
                    uint32_t contextSize = 0;
                    frame.payload.copy(reinterpret_cast<char*>(&contextSize), 4, 4);
                    beginBy.push_back(0);
                    protocol::ItemReader items(frame.payload.substr(8 + size + contextSize));
                    while (items.next())
                        if (items.tag() == protocol::Tag::beginBy) beginBy.back() = items.number();
                    if (autoAnswer && !(holds && holds(event))) answer(frame.id, event, protocol::FrameType::result, 1000);
                    break;
                }
                default: break;
            }
        }
    }

    base::EventLoop& loop_;
    sandbox::TaskId task_;
    sandbox::WorkerLauncher::EndedCallback ended_;
    base::UniqueFd socket_, output_, errors_;
    sandbox::WorkerLauncher::Worker kernel_;
    int memory_ = -1;  // the kernel's, once it has taken its ends
    std::unique_ptr<Watch> watch_;
    protocol::FrameDecoder decoder_;
};

class FakeLauncher final : public sandbox::WorkerLauncher {
public:
    explicit FakeLauncher(base::EventLoop& loop) : loop_(loop) {}

    void startWorker(const sandbox::WorkerSpec& spec, WorkerCallback started, EndedCallback ended) override {
        if (refuse) return loop_.post([started] { started(base::Failure{.reason = "sandbox_failed", .detail = "no room"}); });
        memory.push_back(spec.limits.memoryBytes);
        workers.push_back(std::make_unique<FakeWorker>(loop_, workers.size() + 1, std::move(ended)));
        FakeWorker& worker = *workers.back();
        if (onStart) onStart(worker);
        mostStarting = std::max(mostStarting, ++starting);
        const auto accept = [this, &worker, started] {
            started(worker.takeKernelEnds());
            const auto greet = [this, &worker] {
                --starting;
                if (hello && worker.alive) worker.hello();
            };
            if (startTime.count() == 0) greet();
            else loop_.after(startTime, greet);
        };
        if (acceptTime.count() == 0) loop_.post(accept);
        else loop_.after(acceptTime, accept);
    }
    void attach(sandbox::TaskId task, const sandbox::Attachment& attachment, DoneCallback done) override {
        workers[task - 1]->attached = attachment.artifactDir;
        memory[task - 1] = attachment.limits.memoryBytes;
        loop_.post([done] { done({}); });
    }
    void onRefused(sandbox::TaskId task, RefusedCallback refused) override { refusals[task] = std::move(refused); }
    void share(sandbox::TaskId task, uint32_t parts) override {
        shares[task] = parts;
        ++told[task];
    }
    std::string artifactPath(sandbox::TaskId) const override { return "/function"; }
    void kill(sandbox::TaskId task) override {
        FakeWorker& worker = *workers[task - 1];
        ++worker.killed;
        if (onKill) onKill(worker);
        if (obeysKill) worker.end({.exitCode = -1, .signal = 9});
    }

    std::vector<std::unique_ptr<FakeWorker>> workers{};
    std::vector<uint64_t> memory{};
    std::map<sandbox::TaskId, RefusedCallback> refusals{};
    std::map<sandbox::TaskId, uint32_t> shares{};  // what was said last
    std::map<sandbox::TaskId, size_t> told{};      // how often
    bool hello = true;
    std::chrono::milliseconds acceptTime{0};  // until it says that it has started
    std::chrono::milliseconds startTime{0};   // from then to HELLO
    size_t starting = 0, mostStarting = 0;   // at once
    bool refuse = false;
    bool obeysKill = true;
    std::function<void(FakeWorker&)> onKill{};  // its last words
    std::function<void(FakeWorker&)> onStart{};

private:
    base::EventLoop& loop_;
};

}  // namespace cf::workers::test
