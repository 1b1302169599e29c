// Decides when a worker's process is started. Fifty functions that are called for the first time in
// one moment would otherwise fight over the same cores with fifty half-started runtimes; and the
// refill of prewarmed pools, for which nobody waits, would be among them. So only a few starts are
// under way at once, those that calls wait for go first, and refills go one by one when there is
// no other. Loop thread only; the Context owns it and outlives every worker.
#pragma once

#include <cstddef>
#include <deque>

namespace cf::workers {

class Worker;

// Whether somebody waits for a worker.
enum class Urgency { called, background };

class Starts {
public:
    // `most`: starts that calls wait for at once.
    explicit Starts(size_t most) : most_(most) {}

    // Calls worker.launch(), now or later.
    void request(Worker& worker, Urgency urgency);
    // A call waits for one that was requested in the background.
    void hurry(Worker& worker);
    // It said HELLO, or it is gone; every requested worker is done once at least. What comes after
    // HELLO runs a user's code, takes as long as that likes, and must not keep others from
    // starting.
    void done(Worker& worker);

    // One that calls wait for takes too long on its way to HELLO: the next one may start beside it.
    void overdue(Worker& worker);

    // Nothing starts any more.
    void close() { closed_ = true; }

    size_t waiting() const { return called_.size(); }

private:
    void next();
    Worker* fairest();

    size_t most_;
    bool closed_ = false;
    bool choosing_ = false;                                    // next() is on the stack
    std::deque<Worker*> called_, background_;                  // wait for their turn
    std::deque<Worker*> startingCalled_, startingBackground_;  // are under way
};

}  // namespace cf::workers
