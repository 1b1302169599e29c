// Has a warm worker parse sources without running them (CHECK), so that a save needs no new
// process. The worker that does it belongs to this checker until it retires: whoever parsed one
// user's source never runs another's.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "workers/prewarmed_pool.hpp"

namespace cf::workers {

class Checker final : public WorkerOwner {
public:
    using Callback = std::function<void(base::Result<std::string> remarks)>;

    Checker(Context& context, PrewarmedPool& pool);
    ~Checker() override;
    // Remarks as JSON. Failures: check_failed (timed out, crashed, too many waiting).
    void check(std::string file, std::string source, Callback callback);

    // Lets an idle worker go, for a platform that is full. False: there is none.
    bool giveWay();
    // What giveWay() would give back.
    uint64_t spareBytes() const;

    void workerWaits(Worker&) override { next(); }
    void workerChecked(Worker&, std::string_view remarks) override;
    void workerGone(Worker&, WorkerEnd&&) override;

private:
    struct Request {
        std::string file;
        std::string source;
        Callback callback;
    };
    void next();
    void giveUp(std::string why);
    void arm();

    Context& context_;
    PrewarmedPool& pool_;
    std::unique_ptr<Worker> worker_;
    std::deque<Request> waiting_;
    bool asked_ = false;  // the front is being parsed
    base::TimerId timer_ = 0;
};

}  // namespace cf::workers
