#!/usr/bin/env bash
# Sets up what is missing, builds, and serves on port 8080 until Ctrl+C or SIGTERM. Asks nothing. A second start
# installs and builds nothing.
#
#   ./start_cloudfunction.sh [arguments of `cloudfunction serve`]
set -euo pipefail

# A relative CLOUDFUNCTION_WORKDIR means the folder of the caller, not the one of this script.
if [ -n "${CLOUDFUNCTION_WORKDIR:-}" ] && [ "${CLOUDFUNCTION_WORKDIR#/}" = "$CLOUDFUNCTION_WORKDIR" ]; then
    export CLOUDFUNCTION_WORKDIR="$PWD/$CLOUDFUNCTION_WORKDIR"
fi
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

exec "$binary" serve --config config/cloudfunction.properties "$@"
