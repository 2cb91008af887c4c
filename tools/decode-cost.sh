#!/usr/bin/env bash
# What looking costs while nobody looks: instructions of a token on the host, with everything compiled in and nothing switched on,
# against a build without it.
#
#   tools/decode-cost.sh [--install]
#
# callgrind counts the instructions of benches/decode_loop.rs, on wgpu's backend that runs nothing, for two numbers of tokens; the
# difference is that of the tokens between. Counted are those of the program itself: what the C library spends on memory depends on what
# lies where, and differs by more than looking costs. Fails where looking costs more than 0.5 %. Exit status 77: there is no valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

LIMIT=0.5 # percent
FEW=16
MANY=80

if ! command -v valgrind >/dev/null 2>&1; then
    if [ "${1:-}" = --install ] && [ "$(uname -s)" = Linux ]; then
        install_packages "counts instructions" valgrind
    else
        note "no valgrind"
        exit 77
    fi
fi
need_rust

# build NAME FEATURES: sets `program`.
build() {
    # In one piece, so that what the compiler inlines does not depend on how it cuts the crate.
    cargo build --profile dev --config 'profile.dev.package.ffai.codegen-units=1' --config 'profile.dev.package.ffai.opt-level=3' \
        --bench decode_loop --no-default-features --features "$2" --target-dir target/decode-cost \
        --message-format=json >"$scratch/$1.json"
    program=$(sed -n 's/.*"executable":"\([^"]*decode_loop[^"]*\)".*/\1/p' "$scratch/$1.json" | tail -n 1)
    cp "$program" "$scratch/$1"
    program=$scratch/$1
}

# instructions PROGRAM TOKENS: those of the program, and none of its libraries.
instructions() {
    # No address-space randomization, so that two runs of one program do the same; no backtraces in errors that wgpu only looks at.
    env -u RUST_BACKTRACE setarch -R \
        valgrind -q --tool=callgrind --callgrind-out-file="$1.calls" "$1" "$2" >/dev/null
    # It warns of lines that it would show, were it asked for sources.
    callgrind_annotate --threshold=100 --auto=no "$1.calls" 2>/dev/null |
        awk -v program="[$1]" 'index($0, program) && $1 ~ /^[0-9,]+$/ { gsub(",", "", $1); sum += $1 } END { printf "%d\n", sum }'
}

new_scratch "${TMPDIR:-/tmp}"
step "Building without and with what looks"
build without ""
without=$program
build with tracy
with=$program

step "Counting instructions"
without_token=$((($(instructions "$without" $MANY) - $(instructions "$without" $FEW)) / (MANY - FEW)))
with_token=$((($(instructions "$with" $MANY) - $(instructions "$with" $FEW)) / (MANY - FEW)))
note "without: $without_token instructions per token"
note "with:    $with_token instructions per token"
awk -v without="$without_token" -v with="$with_token" -v limit=$LIMIT 'BEGIN {
    more = 100 * (with - without) / without
    printf "    %+.3f %%, at most %s %%\n", more, limit
    exit more > limit
}' || die "looking costs more than $LIMIT % while nobody looks" "see what src/generate/session.rs and src/observe do per token"
