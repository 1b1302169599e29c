// The companion services of the properties file: whether each answers. They never make the platform degraded. A thread
// of its own asks them over and over, so that nobody waits for one that does not answer.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cf::app {

class Companions {
public:
    // Name and URL (http://) of each.
    explicit Companions(const std::map<std::string, std::string>& urls);
    // Waits for the question that is being asked, if any; one whose name is not resolved in a few seconds is left to
    // itself.
    ~Companions();

    // After root was given up. Nothing is started when there are no companions.
    void start();
    // Any thread; does not wait. No further question is asked.
    void stop();
    // Any thread; does not wait. Name and "running" or "unreachable", as it was when it was asked last; "unknown" until
    // then.
    std::vector<std::pair<std::string, std::string>> states() const;

private:
    struct State;
    std::shared_ptr<State> state_;  // the thread has it too, and may outlive this
    std::thread thread_;
};

}  // namespace cf::app
