//! clang, and what it has built: a precompiled shim and a runtime per layer, kept under `target/msl-emu/`.

use super::Layer;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// Oldest clang whose C++ for OpenCL, `_Float16` and `__bf16` are complete enough.
const OLDEST: u32 = 17;
/// Seconds of processor time after which a build is given up.
const LIMIT: u32 = 120;

/// How a layer is compiled.
pub(crate) struct Build {
    pub(crate) name: &'static str,
    define: &'static str,
    kernel: &'static [&'static str],
    runtime: &'static [&'static str],
}

const PLAIN: Build =
    Build { name: "plain", define: "-DMSL_PLAIN", kernel: &["-ftrivial-auto-var-init=pattern"], runtime: &[] };
const BOUNDS: Build = Build {
    name: "bounds",
    define: "-DMSL_BOUNDS",
    kernel: &[
        "-fsanitize=address,array-bounds,alignment,shift,integer-divide-by-zero",
        "-fno-sanitize-recover=all",
        "-fstrict-flex-arrays=3",
        "-fsanitize-address-use-after-return=never",
    ],
    runtime: &["-fsanitize=address,undefined"],
};
/// The pass that asks before every access, with answers of our own: `runtime/trace.h`.
const TRACED: Build = Build {
    name: "traced",
    define: "-DMSL_TRACED",
    kernel: &[
        "-fsanitize=kernel-address",
        "-mllvm",
        "-asan-instrumentation-with-call-threshold=0",
        "-mllvm",
        "-asan-stack=0",
        "-mllvm",
        "-asan-globals=0",
        "-mllvm",
        "-asan-opt=0",
        "-mllvm",
        "-asan-kernel-mem-intrinsic-prefix=1",
    ],
    runtime: &[],
};

impl Layer {
    pub(crate) fn build(self) -> &'static Build {
        match self {
            Self::Plain => &PLAIN,
            Self::Bounds => &BOUNDS,
            Self::Races | Self::Loads => &TRACED,
        }
    }
}

/// A clang and the folder of what it built.
pub(crate) struct Toolchain {
    clang: PathBuf,
    major: u32,
    /// Of the shim, the runtime, the compiler's version and the flags.
    key: String,
    folder: PathBuf,
    made: Mutex<Vec<String>>,
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/msl_emu")
}

/// FNV-1a over 128 bits: names of builds, not a defence.
pub(crate) fn hash(texts: &[&str]) -> String {
    let mut state: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for text in texts {
        for byte in text.bytes().chain([0xFF]) {
            state = (state ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B);
        }
    }
    format!("{state:032x}")
}

/// The clang to use: `FFAI_TEST_CLANG`, else the newest of those known to do.
pub(crate) fn toolchain() -> Result<&'static Toolchain, &'static str> {
    static FOUND: OnceLock<Result<Toolchain, String>> = OnceLock::new();
    FOUND.get_or_init(find).as_ref().map_err(String::as_str)
}

fn find() -> Result<Toolchain, String> {
    let asked = std::env::var("FFAI_TEST_CLANG").ok();
    let names: Vec<String> = match &asked {
        Some(path) => vec![path.clone()],
        None => ["clang++-19", "clang++-20", "clang++-21", "clang++-18", "clang++-17", "clang++"]
            .map(str::to_owned)
            .to_vec(),
    };
    let mut lacking = String::new();
    for name in names {
        let Ok(output) = Command::new(&name).arg("--version").output() else { continue };
        let version = String::from_utf8_lossy(&output.stdout).into_owned();
        let major =
            version.split("version ").nth(1).and_then(|rest| rest.split('.').next()).and_then(|n| n.parse().ok());
        let sound = version.contains("clang") && !version.contains("Apple");
        if let Some(major) = major.filter(|&major: &u32| sound && major >= OLDEST) {
            if has_sanitizers(&name) {
                return Toolchain::new(PathBuf::from(name), &version, major);
            }
            lacking = format!("; {name} lacks its sanitizers (libclang-rt-{major}-dev)");
        } else if asked.is_some() {
            return Err(format!(
                "FFAI_TEST_CLANG is {name}, which says: {}",
                version.lines().next().unwrap_or("nothing")
            ));
        }
    }
    Err(format!(
        "no clang++ of version {OLDEST} or later with its sanitizers{lacking}; on Debian: apt install clang-19 libclang-rt-19-dev (FFAI_TEST_CLANG names another)"
    ))
}

/// The libraries are a package of their own, and lie in one of two places.
fn has_sanitizers(clang: &str) -> bool {
    let library = format!("libclang_rt.asan-{}.a", std::env::consts::ARCH);
    let said = |argument: String| {
        let output = Command::new(clang).arg(argument).output().ok()?;
        Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    let named = said(format!("-print-file-name={library}"));
    let folder = said("-print-runtime-dir".to_owned()).map(|folder| folder.join("libclang_rt.asan.a"));
    named.into_iter().chain(folder).any(|path| path.is_file())
}

impl Toolchain {
    fn new(clang: PathBuf, version: &str, major: u32) -> Result<Self, String> {
        let mut texts =
            vec![version.to_owned(), here().display().to_string(), format!("{:?} {:?}", common(major), check_flags())];
        for build in [&PLAIN, &BOUNDS, &TRACED] {
            texts.push(format!("{:?} {:?}", build.kernel, build.runtime));
        }
        for folder in ["shim", "shim/emu", "shim/simd", "runtime"] {
            let entries = fs::read_dir(here().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
            let mut files: Vec<PathBuf> =
                entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
            files.sort();
            for file in files {
                texts.push(fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?);
            }
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let key = hash(&texts);
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target")).join("msl-emu");
        let folder = target.join(&key[..16]);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { clang, major, key, folder, made: Mutex::new(Vec::new()) })
    }

    /// Makes a file once, by this process or by another: `make` writes to the path that it is given.
    fn once(&self, name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let draft = self.folder.join(format!("draft-{}-{number}-{name}", std::process::id()));
        let made = make(&draft)
            .and_then(|()| fs::rename(&draft, &path).map_err(|error| format!("{}: {error}", path.display())));
        if made.is_err() {
            let _ = fs::remove_file(&draft);
        }
        made.map(|()| path)
    }

    /// As [`Self::once`], for what every build needs: only one thread makes it.
    fn once_for_all(&self, name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if made.iter().any(|known| known == name) {
            return Ok(self.folder.join(name));
        }
        let path = self.once(name, make)?;
        made.push(name.to_owned());
        Ok(path)
    }

    /// Runs clang; its messages are the error.
    fn clang(&self, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--cpu={LIMIT}"))
            .arg(&self.clang)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null());
        let output = match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Command::new(&self.clang).args(arguments).stdin(std::process::Stdio::null()).output()
            }
            other => other,
        };
        let output = output.map_err(|error| format!("{}: {error}", self.clang.display()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(first_messages(&String::from_utf8_lossy(&output.stderr)))
    }

    /// The front end's opinion of a source for [`super::rewrite::Aim::Check`].
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        let shim = here().join("shim").display().to_string();
        let header = here().join("shim/metal_stdlib").display().to_string();
        let precompiled = self.once_for_all("check.pch", |draft| {
            let mut arguments = check_flags();
            let draft = draft.display().to_string();
            arguments.extend([
                "-isystem",
                &shim,
                "-c",
                "-Xclang",
                "-emit-pch",
                "-Xclang",
                "-fno-pch-timestamp",
                &header,
                "-o",
                &draft,
            ]);
            self.clang(&arguments)
        })?;
        let (precompiled, name) = (precompiled.display().to_string(), format!("{}.check.clcpp", hash(&[text])));
        let verdict = self.once(&format!("{name}.ok"), |draft| {
            let source = self.folder.join(&name).display().to_string();
            fs::write(&source, text).map_err(|error| format!("{source}: {error}"))?;
            let mut arguments = check_flags();
            arguments.extend([
                "-isystem",
                &shim,
                "-Xclang",
                "-include-pch",
                "-Xclang",
                &precompiled,
                "-fsyntax-only",
                &source,
            ]);
            let verdict = self.clang(&arguments);
            let _ = fs::remove_file(&source);
            verdict?;
            fs::write(draft, "").map_err(|error| error.to_string())
        });
        verdict.map(|_| ())
    }

    /// The program that runs kernels of a layer.
    pub(crate) fn runtime(&self, build: &Build) -> Result<PathBuf, String> {
        self.once_for_all(&format!("run-{}", build.name), |draft| {
            let (source, draft) =
                (here().join("runtime/runtime.cpp").display().to_string(), draft.display().to_string());
            let object = format!("{draft}.o");
            let mut arguments =
                vec!["-std=c++17", "-O2", "-g1", "-fPIE", "-fsigned-char", build.define, "-c", &source, "-o", &object];
            arguments.extend(machine());
            self.clang(&arguments)?;
            let mut arguments = build.runtime.to_vec();
            arguments.extend(["-rdynamic", &object, "-o", &draft, "-Wl,--no-as-needed", "-lm", "-ldl"]);
            let linked = self.clang(&arguments);
            let _ = fs::remove_file(&object);
            linked
        })
    }

    /// A kernel's shared object from its source for [`super::rewrite::Aim::Run`].
    pub(crate) fn build(&self, text: &str, build: &Build, own_arrays: bool) -> Result<PathBuf, String> {
        let shim = here().join("shim").display().to_string();
        let header = here().join("shim/metal_stdlib").display().to_string();
        let flags = |last: &[&str]| -> Vec<String> {
            let mut all: Vec<String> =
                common(self.major).iter().chain(build.kernel).map(|flag| (*flag).to_owned()).collect();
            all.extend(["-isystem".to_owned(), shim.clone()]);
            all.extend(last.iter().map(|flag| (*flag).to_owned()));
            all
        };
        let run = |arguments: Vec<String>| self.clang(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let precompiled = self.once_for_all(&format!("shim-{}.pch", build.name), |draft| {
            run(flags(&[
                "-x",
                "c++-header",
                "-Xclang",
                "-fno-pch-timestamp",
                &header,
                "-o",
                &draft.display().to_string(),
            ]))
        })?;
        let precompiled = precompiled.display().to_string();
        let name = hash(&[&self.key, text, build.name, &own_arrays.to_string()]);
        self.once(&format!("{name}.{}.so", build.name), |draft| {
            let draft = draft.display().to_string();
            let source = format!("{draft}.cpp");
            fs::write(&source, text).map_err(|error| format!("{source}: {error}"))?;
            let mut last =
                vec!["-Xclang", "-include-pch", "-Xclang", &precompiled, &source, "-shared", "-nostdlib", "-o", &draft];
            if !own_arrays && build.name == "bounds" {
                last.push("-fno-sanitize=array-bounds");
            }
            last.push("-lgcc");
            let built = run(flags(&last));
            let _ = fs::remove_file(&source);
            built
        })
    }

    /// Turns `{pc:1a2b}` in a message into `gemm.metal:12`.
    pub(crate) fn with_lines(&self, object: &Path, message: &str) -> String {
        let mut text = String::new();
        let mut rest = message;
        while let Some(at) = rest.find("{pc:") {
            text.push_str(&rest[..at]);
            let end = rest[at..].find('}').map_or(rest.len(), |end| at + end);
            let address = u64::from_str_radix(&rest[at + 4..end], 16).unwrap_or(0);
            text.push_str(&line_of(object, address).unwrap_or_else(|| format!("code {address:#x}")));
            rest = rest.get(end + 1..).unwrap_or("");
        }
        text + rest
    }
}

/// The innermost place in a kernel's own source: functions of the shim are inlined into it.
fn line_of(object: &Path, address: u64) -> Option<String> {
    // The address of a return is one behind the call.
    let address = format!("{:#x}", address.checked_sub(1)?);
    let output = Command::new("addr2line").args(["-i", "-e"]).arg(object).arg(address).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| {
        !line.contains("/shim/") && !line.contains('?') && !line.contains("entry points") && !line.contains("/draft-")
    })?;
    let line = line.split(" (discriminator").next().unwrap_or(line);
    Some(line.rsplit('/').next().unwrap_or(line).to_owned())
}

fn machine() -> &'static [&'static str] {
    if cfg!(target_arch = "x86_64") { &["-mf16c", "-mfma", "-fstack-clash-protection"] } else { &[] }
}

/// Flags of every kernel: one rounding per operation, as written, and no vectors that the source does not have.
fn common(major: u32) -> Vec<&'static str> {
    let mut flags = vec![
        "-std=c++14",
        "-O1",
        "-gline-tables-only",
        "-fPIC",
        "-fvisibility=hidden",
        "-fsigned-char",
        "-fwrapv",
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-strict-aliasing",
        "-fno-math-errno",
        "-ffp-contract=off",
        "-fno-vectorize",
        "-fno-slp-vectorize",
        "-Xclang",
        "-ffloat16-excess-precision=none",
        "-Xclang",
        "-cl-single-precision-constant",
        "-nostdinc",
        "-w",
        "-Wno-reserved-user-defined-literal",
        "-Werror=c++17-extensions",
        "-Werror=vla-cxx-extension",
        "-ferror-limit=5",
    ];
    if major >= 18 {
        flags.extend(["-Xclang", "-fbfloat16-excess-precision=none"]);
    }
    flags.extend(machine());
    flags
}

fn check_flags() -> Vec<&'static str> {
    vec![
        "-x",
        "clcpp",
        "-cl-std=clc++2021",
        "-target",
        "x86_64",
        "-DMSL_CHECK",
        "-cl-single-precision-constant",
        "-cl-no-stdinc",
        "-nostdinc",
        "-Xclang",
        "-cl-ext=+cl_khr_fp16,-cl_khr_fp64,-__opencl_c_fp64,+__cl_clang_non_portable_kernel_param_types",
        "-Wall",
        "-Werror",
        "-Wno-unknown-attributes",
        "-Wno-ignored-attributes",
        "-Wno-duplicate-decl-specifier",
        "-Wno-unused",
        "-Wno-undefined-internal",
        "-Wno-undefined-inline",
        "-Wno-missing-braces",
        "-Wno-unknown-pragmas",
        "-ferror-limit=5",
    ]
}

/// The errors among clang's messages, without the text that it quotes.
fn first_messages(stderr: &str) -> String {
    let mut text = String::new();
    for line in stderr.lines().filter(|line| line.contains("error:") || line.contains("note: candidate")).take(8) {
        let _ = writeln!(text, "{line}");
    }
    if text.is_empty() { stderr.lines().take(20).collect::<Vec<_>>().join("\n") } else { text.trim_end().to_owned() }
}
