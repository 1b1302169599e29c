#!/usr/bin/env bash
# Sets up what is missing, builds, and serves on port 8080 until Ctrl+C or SIGTERM. Asks nothing. A second start
# installs and builds nothing.
#
#   ./start_cloudfunction.sh [arguments of `cloudfunction serve`]
set -euo pipefail

# A relative path means the folder of the caller, not the one of this script.
from_here() {
    case $1 in
        "" | /*) printf '%s' "$1" ;;
        *) printf '%s' "$PWD/$1" ;;
    esac
}
for name in CLOUDFUNCTION_WORKDIR CLOUDFUNCTION_DATA_DIR CLOUDFUNCTION_EXECUTORS_DIR; do
    if [ -n "${!name:-}" ]; then export "$name=$(from_here "${!name}")"; fi
done
arguments=()
while [ $# -gt 0 ]; do
    arguments+=("$1")
    if [ "$1" = --config ] && [ $# -gt 1 ]; then
        arguments+=("$(from_here "$2")")
        shift
    fi
    shift
done

cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"
. tools/dependencies.sh

build=build/release
binary=$build/bin/cloudfunction

ensure_dependencies build

if [ ! -x "$binary" ] || [ "$(ninja -C "$build" -n 2>/dev/null | tail -n 1)" != "ninja: no work to do." ]; then
    say "Building the platform into $build (some minutes the first time)"
    cmake --preset release >/dev/null
    cmake --build --preset release
fi

ensure_user

exec "$binary" serve --config config/cloudfunction.properties "${arguments[@]}"
