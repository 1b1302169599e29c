#include "workers/starts.hpp"

#include <algorithm>

#include "workers/worker.hpp"

namespace cf::workers {

namespace {

bool take(std::deque<Worker*>& list, Worker& worker) { return std::erase(list, &worker) > 0; }

}  // namespace

void Starts::request(Worker& worker, Urgency urgency) {
    (urgency == Urgency::called ? called_ : background_).push_back(&worker);
    next();
}

void Starts::hurry(Worker& worker) {
    if (take(background_, worker))
        called_.push_back(&worker);
    else if (take(startingBackground_, worker))
        startingCalled_.push_back(&worker);
    next();
}

void Starts::done(Worker& worker) {
    const bool waited = take(called_, worker) || take(background_, worker);
    if (!waited && !take(startingCalled_, worker)) take(startingBackground_, worker);
    next();
}

void Starts::overdue(Worker& worker) {
    if (take(startingCalled_, worker)) next();
}

// Takes the first of those whose owner has the fewest starts under way: a burst of one function
// does not keep others waiting.
Worker* Starts::fairest() {
    const auto underWay = [&](const Worker* worker) {
        return std::count_if(startingCalled_.begin(), startingCalled_.end(),
                             [&](const Worker* w) { return w->owner() == worker->owner(); });
    };
    const auto best = std::min_element(
        called_.begin(), called_.end(),
        [&](const Worker* a, const Worker* b) { return underWay(a) < underWay(b); });
    Worker* worker = *best;
    called_.erase(best);
    return worker;
}

void Starts::next() {
    if (closed_ || choosing_) return;
    choosing_ = true;
    while (!called_.empty() && startingCalled_.size() < most_) {
        Worker* worker = fairest();
        // What its call waited for may have been done by others meanwhile.
        if (!worker->owner()->wantsStart(*worker)) {
            worker->kill(WorkerEnd::Cause::stopped, "no longer needed");
            continue;
        }
        startingCalled_.push_back(worker);
        worker->launch();
    }
    choosing_ = false;
    if (background_.empty() || !called_.empty() || !startingCalled_.empty() ||
        !startingBackground_.empty())
        return;
    Worker* worker = background_.front();
    background_.pop_front();
    startingBackground_.push_back(worker);
    worker->launch();
}

}  // namespace cf::workers
