#!/usr/bin/env bash
# Everything a change must pass, in the order that fails soonest.
#
#   tools/test.sh [--quick] [--no-macos]
#
#   --quick     the tests only
#   --no-macos  leave out the type-check for macOS (for a run that has a real Mac beside it)
#
# Installs what is missing, as tools/quickstart.sh does. Goes on after a failed step, so that one run shows all there
# is to mend, and ends with a line per step. With CI=true a step that cannot run is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

quick=no
macos=yes
for argument in "$@"; do
    case $argument in
    --quick) quick=yes ;;
    --no-macos) macos=no ;;
    -h | --help)
        echo "usage: tools/test.sh [--quick] [--no-macos]"
        exit 0
        ;;
    *) die "unknown option: $argument" "usage: tools/test.sh [--quick] [--no-macos]" ;;
    esac
done

summary=""
failed=0
# record WHAT NAME SECONDS [NEXT]
record() {
    local line
    line=$(printf '%-8s %5ss  %s' "$1" "$3" "$2")
    [ -n "${4:-}" ] && line="$line
                 next: $4"
    summary="$summary$line
"
}

# run_step NAME NEXT COMMAND…: exit status 77 means that the machine cannot do it.
run_step() {
    local name=$1 next=$2 begun=$SECONDS status=0
    shift 2
    step "$name"
    note "$*"
    "$@" </dev/null || status=$?
    local took=$((SECONDS - begun))
    if [ "$status" = 0 ]; then
        record ok "$name" "$took"
    elif [ "$status" = 77 ] && [ "${CI:-}" != true ]; then
        record SKIPPED "$name" "$took" "$next"
    else
        failed=$((failed + 1))
        record FAILED "$name" "$took" "$next"
    fi
}

step "Checking what this machine has"
need_rust
need_linker
need_gpu_driver
need_tmux
need_clang
need_chromium
need_model
export FFAI_TEST_MODEL=$model
need_gemma
export FFAI_TEST_GEMMA=$model
need_hub_python
export FFAI_TEST_HUB_PYTHON=$hub_python
if [ "$quick" = yes ]; then need_mlx_python find; else need_mlx_python; fi
export FFAI_TEST_MLX_PYTHON=$mlx_python

if [ "$quick" = no ]; then
    need_rust_components
    run_step "format" "cargo fmt" \
        cargo fmt --check
    run_step "lints" "mend what clippy names above" \
        cargo clippy --workspace --all-targets -- -D warnings
    run_step "lints without features" "mend what clippy names above; it is about code behind the feature \`hub\`" \
        cargo clippy --no-default-features --all-targets -- -D warnings
    run_step "documentation" "mend what rustdoc names above" \
        env RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps
fi
run_step "tests" "the failures are listed above; one alone: cargo test --workspace NAME" \
    cargo test --workspace --no-fail-fast
if [ "$quick" = no ]; then
    run_step "a family and a format added by their pages" "mend docs/adding-a-model.md or docs/adding-a-format.md, or what tests/adding.rs adds by them" \
        cargo test --workspace --test adding -- --ignored --nocapture
fi
if [ "$quick" = no ]; then
    run_step "looking costs nothing while nobody looks" "see tools/decode-cost.sh; it needs valgrind" \
        tools/decode-cost.sh --install
    run_step "fuzz target compiles" "mend what rustc names above; after a change of dependencies: cargo update --manifest-path fuzz/Cargo.toml" \
        cargo check --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz
fi
if [ "$quick" = no ] && [ "$macos" = yes ]; then
    run_step "type-check for macOS" "mend what rustc names above; if it could not run: it needs Debian's rustc-web, cargo-web and rust-web-src" \
        tools/check-macos.sh --install
    run_step "the type-check for macOS finds errors" "see tools/check-macos.sh --self-test" \
        tools/check-macos.sh --self-test
fi

step "Summary"
printf '%s' "$summary"
if [ "$failed" != 0 ]; then
    printf '\n%s step(s) failed.\n' "$failed"
    exit 1
fi
