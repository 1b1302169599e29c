// How much of the machine workers take: their number and their memory, against what the operator
// allows. Every Worker holds one Place from its construction until it is asked to leave or dies.
// Loop thread only; the Context owns the Places and outlives every Place.
//
// A worker's memory counts as the most that it has used so far, as Linux's memory controller
// measured it, not as its limit: limits are caps that few functions come near, and their sum would
// refuse workers on a machine that is nearly empty. Nor as its use of the moment: what it took once
// it takes again at its next call. Before anything is measured a worker counts as much as the
// hungriest one of its version did, or as a part of its limit; on a machine that cannot measure it
// counts as its whole limit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

namespace cf::workers {

struct Places {
    uint32_t most = 0;         // workers
    uint64_t memoryBytes = 0;  // of all of them together; 0: no limit
    uint32_t taken = 0;
    uint64_t memory = 0;
    bool unmeasured = false;            // a worker came whose memory nobody measures
    std::function<void()> onRelease{};  // a place was given back

    // Whether `more` workers with `bytes` more of memory fit. One that alone is larger than the
    // whole budget may run when nothing else does.
    bool fits(uint32_t more, uint64_t bytes) const {
        if (taken + more > most) return false;
        return memoryBytes == 0 || memory == 0 || memory + bytes <= memoryBytes;
    }
    // Whether `bytes` more would fit when `spare` were given back.
    bool wouldFit(uint64_t bytes, uint64_t spare) const {
        return memoryBytes == 0 || memory <= spare || memory - spare + bytes <= memoryBytes;
    }
    bool overBudget() const { return memoryBytes != 0 && memory > memoryBytes; }
    // What a new worker with this limit counts as; `seen`: the most that one of its version used.
    uint64_t expected(uint64_t limitBytes, uint64_t seenBytes) const {
        if (unmeasured) return limitBytes;
        return seenBytes != 0 ? std::min(seenBytes, limitBytes) : limitBytes / 4;
    }
    // What is used up, in words for a caller: "256 workers" or "1500 MB of memory for workers".
    std::string limit() const {
        if (taken >= most) return std::to_string(most) + " workers";
        return std::to_string(memoryBytes >> 20) + " MB of memory for workers";
    }
};

// One worker's part of the Places.
class Place {
public:
    Place(Places& places, uint64_t bytes) : places_(places), bytes_(bytes) {
        ++places_.taken;
        places_.memory += bytes_;
    }
    ~Place() { release(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // Counts as `bytes` from now on.
    void charge(uint64_t bytes) {
        if (!held_) return;
        places_.memory += bytes - bytes_;
        bytes_ = bytes;
    }
    // Gives the place back ahead of the worker's last moment; a second call does nothing.
    void release() {
        if (!held_) return;
        held_ = false;
        --places_.taken;
        places_.memory -= bytes_;
        if (places_.onRelease) places_.onRelease();
    }
    bool held() const { return held_; }
    uint64_t bytes() const { return held_ ? bytes_ : 0; }

private:
    Places& places_;
    uint64_t bytes_;
    bool held_ = true;
};

}  // namespace cf::workers
