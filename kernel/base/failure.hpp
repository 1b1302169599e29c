// How things fail inside the platform: a Failure says in words what went wrong, and Result<T> carries a value or a
// Failure across module edges. Exceptions are for faults (bugs, broken invariants), not for what users can cause.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace cf::base {

// One refused field of a request body. `pointer` is a JSON pointer (RFC 6901) such as "/timeout".
struct FieldError {
    std::string pointer{};
    std::string detail{};
};

// A remark on a place in the user's own source. Lines and columns count from 1; 0 is unknown.
struct SourceRemark {
    std::string file{};
    uint32_t line = 0;
    uint32_t column = 0;
    std::string message{};
    bool warning = false;
};

// Everything a person needs to understand a failure. `reason` is a stable snake_case word that decides the HTTP
// status (api/problem.cpp) and the title; `detail` is one sentence about this occurrence.
struct Failure {
    std::string reason{};
    std::string detail{};
    std::string hint{};      // what to do about it; may be empty
    std::string limit{};     // the limit that was hit, with its unit; may be empty
    std::string observed{};  // what was seen instead; may be empty
    std::vector<FieldError> fields{};
    std::vector<SourceRemark> remarks{};
    std::string buildLog{};  // of a failed build: the end of its log, at most 4 KB
};

// A value or a Failure. Test before taking either: taking the absent one throws std::bad_variant_access.
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }
    Failure& failure() & { return std::get<1>(state_); }
    const Failure& failure() const& { return std::get<1>(state_); }
    Failure&& failure() && { return std::get<1>(std::move(state_)); }

private:
    std::variant<T, Failure> state_;
};

// Success without a value, or a Failure.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Failure failure) : failure_(std::move(failure)) {}

    explicit operator bool() const { return !failure_; }
    Failure& failure() & { return failure_.value(); }
    const Failure& failure() const& { return failure_.value(); }
    Failure&& failure() && { return std::move(failure_).value(); }

private:
    std::optional<Failure> failure_;
};

}  // namespace cf::base
