#include "base/nearest.hpp"

#include <algorithm>
#include <utility>

namespace cf::base {

namespace {

// Levenshtein's distance.
size_t edits(std::string_view from, std::string_view to) {
    std::vector<size_t> row(to.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= from.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i);
        for (size_t j = 1; j < row.size(); ++j)
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1,
                                                       diagonal + (from[i - 1] != to[j - 1])}));
    }
    return row.back();
}

}  // namespace

std::string_view nearest(std::string_view wrong, const std::vector<std::string_view>& known) {
    std::string_view best;
    size_t below = std::min<size_t>(4, wrong.size() / 2 + 1);
    for (const std::string_view word : known) {
        // Their lengths alone differ by so many edits: a long text costs nothing.
        if (std::max(word.size(), wrong.size()) - std::min(word.size(), wrong.size()) >= below)
            continue;
        if (const size_t distance = edits(wrong, word); distance < below) {
            below = distance;
            best = word;
        }
    }
    return best;
}

}  // namespace cf::base
