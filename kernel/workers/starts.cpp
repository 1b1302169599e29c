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

void Starts::next() {
    if (closed_) return;
    while (!called_.empty() && startingCalled_.size() < most_) {
        Worker* worker = called_.front();
        called_.pop_front();
        startingCalled_.push_back(worker);
        worker->launch();
    }
    if (background_.empty() || !called_.empty() || !startingCalled_.empty() ||
        !startingBackground_.empty())
        return;
    Worker* worker = background_.front();
    background_.pop_front();
    startingBackground_.push_back(worker);
    worker->launch();
}

}  // namespace cf::workers
