#!/usr/bin/env bash
# Sets up what is missing, builds, and runs every test; ends with the summary of ctest. Needs no terminal.
#
#   ./run_tests.sh                              everything but the long tests; unit and contract tests under the
#                                               address and undefined-behaviour sanitizers
#   ./run_tests.sh --quick                      unit and contract tests: no root, under a minute after the build
#   ./run_tests.sh --long                       everything: the long tests too, all tests under all sanitizers, and the
#                                               fuzzers, each for CLOUDFUNCTION_TEST_FUZZ_SECONDS (600); takes hours
#   ./run_tests.sh --against http://host:port   the system tests against a platform that is running; builds nothing
#
# What follows `--` goes to ctest (to unittest with --against). The exit status is 0 only if every test passed.
set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

extent=normal
against=
while [ $# -gt 0 ]; do
    case "$1" in
        --quick) extent=quick ;;
        --long) extent=long ;;
        --against) against=${2:?--against needs the address of a platform, e.g. http://localhost:8080}; shift ;;
        --) shift; break ;;
        *) usage ;;
    esac
    shift
done

if [ -n "$against" ]; then
    export CLOUDFUNCTION_AGAINST=$against
    exec python3 -m unittest discover -s tests/system "$@"
fi

. tools/dependencies.sh
failed=0

# Sanitizers of g++ 12 and clang 14 give up, or worse, on a Linux that moves addresses about by more than 28 bits
# (vm.mmap_rnd_bits): what runs below it stays where it is.
still=()
if setarch -R true 2>/dev/null; then
    still=(setarch -R)
fi

# Builds a preset and runs those of its tests that the further arguments choose. With `unit_tests=OFF run ...` without
# the tests labelled unit, fuzz or contract, with `go_toolset=OFF run ...` without what only builds of Go functions need,
# with `pointers=OFF run ...` without the checks that take longest to compile.
run() {
    local preset=$1 below=()
    shift
    case "$preset" in asan | tsan) below=("${still[@]}") ;; esac
    cmake --preset "$preset" -D CLOUDFUNCTION_UNIT_TESTS="${unit_tests:-ON}" \
        -D CLOUDFUNCTION_GO_TOOLSET="${go_toolset:-ON}" -D CLOUDFUNCTION_SANITIZE_POINTERS="${pointers:-ON}" >/dev/null
    cmake --build --preset "$preset"
    "${below[@]}" ctest --preset "$preset" "$@" || failed=1
}

# Searches with every fuzzer for CLOUDFUNCTION_TEST_FUZZ_SECONDS; what one finds lies in build/fuzz/found.
fuzz() {
    ensure_dependencies build tests fuzz
    cmake --preset fuzz >/dev/null
    cmake --build --preset fuzz
    mkdir -p build/fuzz/found
    printf '%s\n' build/fuzz/bin/fuzz_* | "${still[@]}" xargs -P "$(nproc)" -I{} bash -c '
        name=${1##*/fuzz_}
        mkdir -p "build/fuzz/corpus/$name"
        if "$1" -max_total_time="${CLOUDFUNCTION_TEST_FUZZ_SECONDS:-600}" -max_len=4096 \
            -artifact_prefix="build/fuzz/found/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
            >"build/fuzz/$name.log" 2>&1 </dev/null; then
            echo "fuzz $name: nothing found"
        else
            echo "fuzz $name: FAILED, see build/fuzz/$name.log"
            exit 1
        fi' bash {} || failed=1
}

# Many tests wait for something most of their time.
waiting=$(($(nproc) + 2))

ensure_dependencies build tests
[ "$extent" = quick ] || ensure_user  # what is tested is what the first command starts
case "$extent" in
    quick) run ci -L quick -j "$(nproc)" "$@" ;;
    normal)
        # Not those without any C++ in them.
        go_toolset=OFF pointers=OFF run asan -L quick \
            -E '^(protocol_.*|go_worker|go_builder|web\.page|project|scripts)$' -j "$waiting" "$@"
        unit_tests=OFF run ci -LE '^(long|unit|fuzz|contract)$' -j "$waiting" "$@"
        ;;
    long)
        ensure_dependencies image || true  # its test says what is missing
        fuzz
        # Without control groups a sandbox's own first process counts as the function's memory, and with a thread sanitizer
        # in it that is more than some limits. With one of its threads nobody enters a user namespace (unshare(2)), and without
        # that an ordinary user has no limit of processes that holds. An emulated processor is too slow for any of them.
        run tsan -LE long -E '^(unit_sandbox_container|hostile_container|hostile_user|virtual_machine\..*)$' "$@"
        run asan -LE long -E '^virtual_machine\.' "$@"
        run ci -j "$(nproc)" "$@"
        ;;
esac
exit "$failed"
