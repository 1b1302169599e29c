// User ids for workers: each running task has one that nobody else has. Launcher only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cf::sandbox {

constexpr uid_t nobody = 65534;  // who owns nothing; what Linux shows for users it cannot map

// Who owns one of these ids already, by the texts of /etc/passwd and /etc/subuid; empty: nobody.
std::string uidOwner(uint32_t base, uint32_t count, const std::string& passwd,
                     const std::string& subuid);

struct UidRange {
    uid_t first;
    uid_t last;
    bool has(uid_t uid) const { return uid >= first && uid <= last; }
};

class UidSlots {
public:
    UidSlots(uint32_t base, uint32_t count) : base_(base), used_(count, false) {}

    // The id that was free for the longest time, so that whatever an old owner left behind is long
    // gone; nothing when all are taken.
    std::optional<uint32_t> take() {
        for (size_t tried = 0; tried < used_.size(); ++tried) {
            const size_t slot = next_++ % used_.size();
            if (used_[slot]) continue;
            used_[slot] = true;
            return base_ + static_cast<uint32_t>(slot);
        }
        return {};
    }
    // False when the id is none of ours or taken: an adoption that cannot be true.
    bool takeThis(uint32_t uid) {
        if (uid < base_ || uid - base_ >= used_.size() || used_[uid - base_]) return false;
        used_[uid - base_] = true;
        return true;
    }
    // All of them; without any, a range that has nobody.
    UidRange range() const {
        if (used_.empty()) return {1, 0};
        return {base_, base_ + static_cast<uint32_t>(used_.size()) - 1};
    }
    void giveBack(uint32_t uid) {
        if (uid >= base_ && uid - base_ < used_.size()) used_[uid - base_] = false;
    }

private:
    uint32_t base_;
    std::vector<bool> used_;
    size_t next_ = 0;
};

}  // namespace cf::sandbox
