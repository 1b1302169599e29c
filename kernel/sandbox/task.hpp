// One task as the launcher knows it: from its start until its end has been told.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/timers.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/fd_watcher.hpp"
#include "sandbox/open_files.hpp"
#include "sandbox/recipe.hpp"
#include "sandbox/trees.hpp"

namespace cf::sandbox {

struct Task {
    TaskId id = 0;
    TaskKind kind = TaskKind::worker;
    pid_t pid = -1;  // its pid 1
    uid_t uid = 0;
    bool ownUid = false;  // a slot, to be given back
    base::UniqueFd pidfd{};
    TaskCgroup cgroup{};
    Limits limits{};
    std::optional<uint32_t> link{};   // its link to the router
    Network network = Network::none;  // what it was started with
    std::vector<Mount> writable{};  // belong to the tool's user until they are given back

    bool announced = false;  // the kernel knows that it runs
    bool killed = false;
    bool outOfMemory = false;
    bool outOfDisk = false;
    uint64_t peakSeen = 0;  // by the watchdog
    // What it has computed, in the words of cpu.stat, where no group counts it: the watchdog writes,
    // the kernel process reads.
    base::UniqueFd processorTime{};
    std::optional<OpenFiles> buffers{};  // its pipes and sockets, by the watchdog
    uint64_t bufferBytes = 0;            // what they may hold, as far as it counts
    std::optional<TreeMeasure> measure{};  // of its folder, by the watchdog
    // Of its writable mounts, one after the other, and then of what is in none of them: how many
    // are done, and what those hold.
    std::optional<TreeMeasure> diskMeasure{};
    std::optional<OpenFiles> unnamed{};
    size_t mountsMeasured = 0;
    uint64_t diskMeasured = 0;
    std::string setupText{};
    std::optional<int> programStatus{};  // what pid 1 said of the program

    // The kernel's ends, until it gets them.
    base::UniqueFd socket{}, input{}, output{}, errors{}, setup{};
    base::UniqueFd helper{};  // pidfd of what gives the files back
    // After the descriptors that they watch.
    std::unique_ptr<FdWatcher> setupWatcher{}, oomWatcher{}, helperWatcher{};
    base::TimerId setupTimer = 0, probeTimer = 0, killTimer = 0;
};

}  // namespace cf::sandbox
