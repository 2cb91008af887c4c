#!/usr/bin/env bash
# Type-checks the workspace as it would be compiled on a Mac (Metal), also where there is none.
#
#   tools/check-macos.sh [--install] [--self-test]
#
#   --install    fetch what is missing with apt (needs root or sudo)
#   --self-test  plant a type error in code that only macOS compiles, and fail unless the check finds it
#
# On a Mac this is plain `cargo check`. On Linux, rustup's compiler has no standard library for Apple's target without
# a download, so Debian's rustc-web, cargo-web and rust-web-src are used: they build the standard library's own sources
# (-Zbuild-std) and stop before code generation, so neither a linker nor Apple's SDK is needed.
# Exit status: 0 fine, 77 cannot be checked on this machine, anything else an error in the code.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

install=no
self_test=no
for argument in "$@"; do
    case $argument in
    --install) install=yes ;;
    --self-test) self_test=yes ;;
    *) die "unknown option: $argument" "usage: tools/check-macos.sh [--install] [--self-test]" ;;
    esac
done

# check CARGO [OPTION…]: the check itself, or with --self-test the same with the planted error, which it must find.
check() {
    if [ "$self_test" = no ]; then
        "$@" check --workspace --all-targets --locked
        return
    fi
    local stubs=$PWD/target/planted output status=0
    mkdir -p "$stubs"
    # Around the compiler of the workspace's own crates alone: what they depend on is not compiled anew.
    printf '#!/bin/sh\nexec "$@" --cfg ffai_planted\n' >"$stubs/rustc"
    chmod +x "$stubs/rustc"
    output=$(RUSTC_WORKSPACE_WRAPPER=$stubs/rustc "$@" check --workspace --all-targets --locked 2>&1) || status=$?
    if [ "$status" = 0 ]; then
        die "a type error in code for macOS went unnoticed" "see src/gpu/platform/metal.rs and how this script calls cargo"
    fi
    # A check that fails for another reason has not found it.
    if ! printf '%s' "$output" | grep -q PLANTED_ERROR; then
        printf '%s\n' "$output" >&2
        die "the check failed, and not by the planted error" "mend what rustc names above"
    fi
    echo "the planted error was found"
}

if [ "$(uname -s)" = Darwin ]; then
    step "Type-checking for this Mac"
    check cargo
    exit
fi

packages="rustc-web cargo-web rust-web-src"
missing=""
for package in $packages; do
    have_package "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$install" = yes ] && command -v apt-get >/dev/null 2>&1; then
        # A release without these packages (they came with Debian 12's browsers) must be a skip, not a failure.
        refresh_apt_lists
        for package in $missing; do
            if ! apt-cache show "$package" >/dev/null 2>&1; then
                echo "check-macos: apt has no package $package here; Debian 12 has it" >&2
                exit 77
            fi
        done
        # shellcheck disable=SC2086  # a list of names
        install_packages "a compiler with its library sources, to type-check the Metal code" $missing
    else
        echo "check-macos: missing:$missing; next: tools/check-macos.sh --install" >&2
        exit 77
    fi
fi

# Debian's own, by full path: rustup's come first in PATH and have no library sources.
rustc=/usr/bin/rustc
cargo=/usr/bin/cargo
target=aarch64-apple-darwin
folder=$PWD/target/macos
stubs=$folder/stubs
mkdir -p "$stubs/sdk"

# Build scripts of some crates compile C for the target. Nothing is linked here, so tools that only leave an empty file
# where one is expected are enough.
cat >"$stubs/cc" <<'STUB'
#!/bin/sh
previous=
for argument in "$@"; do
    if [ "$previous" = -o ]; then : >"$argument"; fi
    previous=$argument
done
exit 0
STUB
cat >"$stubs/ar" <<'STUB'
#!/bin/sh
for argument in "$@"; do
    case $argument in *.a) : >"$argument" ;; esac
done
exit 0
STUB
chmod +x "$stubs/cc" "$stubs/ar"

step "Type-checking for $target with $("$rustc" --version)"
# rustup's proxies export these for their own children; they would lead Debian's cargo back to rustup's compiler.
unset RUSTUP_TOOLCHAIN RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO
export RUSTC=$rustc RUSTDOC=/usr/bin/rustdoc
# -Zbuild-std is unstable; this lets a stable compiler accept it.
export RUSTC_BOOTSTRAP=1
export CC_aarch64_apple_darwin=$stubs/cc CXX_aarch64_apple_darwin=$stubs/cc
export AR_aarch64_apple_darwin=$stubs/ar RANLIB_aarch64_apple_darwin=true
export SDKROOT=$stubs/sdk
# An own target folder: two compilers in one would rebuild each other's work, and hold its lock.
# Build scripts and macros are all that gets compiled; optimising them, as the dev profile does, would cost more time
# than they take to run.
cargo_for_macos() {
    local command=$1
    shift
    "$cargo" "$command" -Zbuild-std=std,panic_abort --target "$target" --target-dir "$folder" \
        --config 'profile.dev.package."*".opt-level=0' "$@"
}
check cargo_for_macos
