# What the platform and its tests need from the machine, and how it gets there. Sourced by start_cloudfunction.sh and
# run_tests.sh; this is the only list of packages in the project.
#
#   ensure_dependencies build            what start_cloudfunction.sh needs
#   ensure_dependencies build tests      and what the tests need
#   ensure_dependencies fuzz             what the fuzzers need
#   ensure_dependencies image            what building the container image without an engine needs
#   ensure_user                          the user that the kernel process becomes when root starts it
#
# Asks nothing. Touches the package manager only when something is missing.

# Debian packages without which nothing can be built.
build_packages=(
    g++ cmake ninja-build pkg-config ca-certificates
    libpoco-dev libsimdjson-dev libsqlite3-dev libarchive-dev libunistring-dev libseccomp-dev libnftables-dev
)
# Debian packages that only the tests need.
test_packages=(libcppunit-dev git curl iproute2 qemu-system-x86 busybox-static cpio sqlite3)
# And those of the fuzzers: a compiler with libFuzzer (preset fuzz).
fuzz_packages=(clang-14 libclang-rt-14-dev)
# And those of the test that builds deploy/Dockerfile; it is skipped without them.
image_packages=(buildah debootstrap libcap2-bin)

# Language toolchains: command, oldest version that works, Debian package. A command that is on PATH and new enough is
# used as it is; `-` means any version, and saves asking a slow program. Each of them may be missing: its runtime is then reported as unavailable and the others work.
toolchains=(
    "python3 3.7 python3"
    "pip3 - python3-pip"
    "node 14 nodejs"
    "npm - npm"
    "esbuild 0.8 esbuild"
    "go 1.16 golang-go"
)

say() { printf '%s\n' "$*" >&2; }

# Go's own installer puts it where sudo's PATH does not look.
if ! command -v go >/dev/null 2>&1 && [ -x /usr/local/go/bin/go ]; then
    PATH="$PATH:/usr/local/go/bin"
fi

# True when version $1 is not older than $2.
not_older() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# The version of a toolchain's command as digits and dots; empty when it does not run.
toolchain_version() {
    case "$1" in
        go) go version 2>/dev/null ;;
        *) "$1" --version 2>/dev/null ;;
    esac | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1
}

# Prints those of the given packages that are not installed.
missing_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        return 0
    fi
    local installed package
    # dpkg-query fails when it has never heard of one of them; that is an answer, too.
    installed=$( (dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true) | sed -n 's/^ii *//p')
    for package in "$@"; do
        grep -qxF "$package" <<<"$installed" || printf '%s\n' "$package"
    done
}

# Prints the packages of the toolchains that are missing or too old.
missing_toolchains() {
    local entry command floor package version
    for entry in "${toolchains[@]}"; do
        read -r command floor package <<<"$entry"
        if command -v "$command" >/dev/null 2>&1; then
            [ "$floor" != - ] || continue
            version=$(toolchain_version "$command" || true)
            if [ -n "$version" ] && not_older "$version" "$floor"; then
                continue
            fi
        fi
        printf '%s\n' "$package"
    done
}

# Runs apt-get as root, without a question and without waiting for ever for another apt-get.
run_apt() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    if [ "$(id -u)" -eq 0 ]; then
        "${apt[@]}" "$@" </dev/null >/dev/null
    elif [ -t 0 ]; then
        sudo "${apt[@]}" "$@" >/dev/null
    else
        sudo -n "${apt[@]}" "$@" </dev/null >/dev/null
    fi
}

# Without it the kernel process keeps root. Only root can make it, and only root needs it.
ensure_user() {
    if [ "$(id -u)" -eq 0 ] && ! getent passwd cloudfunction >/dev/null; then
        useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin cloudfunction
    fi
}

install_packages() { run_apt install -y --no-install-recommends "$@"; }

ensure_dependencies() {
    local required=() optional=() wanted=() group package
    for group in "$@"; do
        case "$group" in
            build) wanted+=("${build_packages[@]}") ;;
            tests) wanted+=("${test_packages[@]}") ;;
            fuzz) wanted+=("${fuzz_packages[@]}") ;;
            image) wanted+=("${image_packages[@]}") ;;
        esac
    done
    mapfile -t required < <(missing_packages "${wanted[@]}")
    mapfile -t optional < <(missing_toolchains)
    if [ $((${#required[@]} + ${#optional[@]})) -eq 0 ]; then
        return 0
    fi

    local all="${required[*]} ${optional[*]}"
    if ! command -v apt-get >/dev/null 2>&1; then
        say "Not all of what the platform uses was found, and there is no apt-get to install it with."
        say "The Debian names of what to install: $all"
        return 0
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        say "Missing: $all. Install it as root and start again:"
        say "    apt-get install -y --no-install-recommends $all"
        [ ${#required[@]} -eq 0 ]
        return
    fi

    say "Installing: $all"
    run_apt update || say "The package lists could not be refreshed; going on with the ones that are here."
    if install_packages "${required[@]}" "${optional[@]}"; then
        return 0
    fi
    # One package that this machine's sources do not have must not keep the rest away.
    if [ ${#required[@]} -gt 0 ] && ! install_packages "${required[@]}"; then
        say "Could not install ${required[*]}; the messages above say why. Install it and start again:"
        say "    apt-get install -y --no-install-recommends ${required[*]}"
        return 1
    fi
    for package in "${optional[@]}"; do
        install_packages "$package" || say "Could not install $package; its runtime will not be available."
    done
}
