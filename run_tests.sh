#!/usr/bin/env bash
# Sets up what is missing, builds, and runs every test; ends with the summary of ctest. Needs no terminal.
#
#   ./run_tests.sh                              everything but the long tests
#   ./run_tests.sh --quick                      unit and contract tests: no root, under a minute after the build
#   ./run_tests.sh --long                       everything, the long tests too
#   ./run_tests.sh --against http://host:port   the system tests against a platform that is running; builds nothing
#
# What follows `--` goes to ctest (to unittest with --against). The exit status is 0 only if every test passed.
set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

selection=(-LE long)
against=
while [ $# -gt 0 ]; do
    case "$1" in
        --quick) selection=(-L quick) ;;
        --long) selection=() ;;
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
ensure_dependencies build tests
cmake --preset ci >/dev/null
cmake --build --preset ci
exec ctest --preset ci -j "$(nproc)" "${selection[@]}" "$@"
