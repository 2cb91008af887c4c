//! The shape of the repository, kept honest: which module may use which, files without an owner, lengths, unsafe code, and names
//! in the documentation.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use. `error` is the front door's error: it wraps those of `graph`, `weights` and `text`.
const ARROWS: &[(&str, &[&str])] = &[
    ("graph", &[]),
    ("observe", &[]),
    ("measure", &["graph", "observe"]),
    ("kernels", &["graph"]),
    ("layers", &["kernels", "graph"]),
    ("cpu", &["graph"]),
    ("gpu", &["graph", "observe"]),
    ("weights", &["graph", "error"]),
    ("text", &[]),
    ("cache", &["kernels", "graph", "error"]),
    ("model", &["layers", "cache", "weights", "kernels", "graph", "error"]),
    ("generate", &["model", "layers", "cache", "weights", "text", "measure", "observe", "kernels", "graph", "error"]),
    // Asks engines what they think of texts: perplexity, divergence, likelihoods.
    ("evaluate", &["generate", "model", "cache", "weights", "text", "measure", "observe", "kernels", "graph", "error"]),
    ("bench", &["evaluate", "generate", "model", "cache", "weights", "text", "measure", "observe", "graph", "error"]),
    // Knows of models what they are made of, and of text how a vocabulary is written; it runs ops, and no model.
    ("convert", &["model", "weights", "text", "kernels", "graph", "error"]),
    // Judges the device itself, so it opens one.
    ("doctor", &["gpu", "cpu", "kernels", "weights", "measure", "graph", "error"]),
    ("inspect", &["generate", "model", "cache", "weights", "text", "kernels", "graph", "error"]),
    // Reads events and rows; what runs a model is handed to it as a function.
    ("dashboard", &["generate", "measure", "observe"]),
    ("error", &["graph", "weights", "text", "convert"]),
    (
        "cli",
        &[
            "bench",
            "evaluate",
            "inspect",
            "doctor",
            "dashboard",
            "generate",
            "convert",
            "model",
            "weights",
            "text",
            "measure",
            "observe",
            "gpu",
            "kernels",
            "graph",
            "error",
        ],
    ),
];

/// Arrows that one file alone may draw, and why.
const DOORS: &[(&str, &str, &str)] = &[
    ("src/text/vocabulary.rs", "weights", "reads the vocabulary out of a checkpoint's metadata"),
    ("src/generate/open.rs", "gpu", "chooses the executor; behind it there is only `dyn Executor`"),
    ("src/generate/open.rs", "cpu", "chooses the executor; behind it there is only `dyn Executor`"),
    ("src/graph/tests.rs", "kernels", "unit tests record real ops; no other build has this arrow"),
    ("src/graph/tests.rs", "weights", "unit tests go through every format; no other build has this arrow"),
];

/// Files longer than [`LINES`], each with its reason.
const LONG: &[(&str, &str)] = &[];
const LINES: usize = 600;

/// Folders that hold no source of ours.
const FOREIGN: &[&str] = &["target", ".git", "artifacts", "corpus"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under `folder` that ends in one of `endings`, by its path from the root. A folder that is not there is empty.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !FOREIGN.iter().any(|name| path.ends_with(name)) {
                    walk(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let mut names: Vec<String> = found
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)))
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A source without its comments. Cuts what follows `//` inside strings too, which costs nothing here.
fn code(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn stem(file: &str) -> &str {
    Path::new(file).file_stem().unwrap().to_str().unwrap()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The words that follow `prefix` in `text`: one name, or every outermost name of a list in braces.
fn names_behind(text: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        if text[..at].ends_with(|c: char| is_word(c) || matches!(c, '$' | ':' | '"')) {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(rest.chars().take_while(|&c| is_word(c)).collect());
            continue;
        };
        let (mut depth, mut fresh) = (1, true);
        let mut name = String::new();
        for c in list.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 1 && fresh && is_word(c) {
                name.push(c);
            } else if !name.is_empty() {
                names.push(std::mem::take(&mut name));
                fresh = false;
            }
            fresh |= depth == 1 && c == ',';
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// Modules that a file of `src/` names, by any way of naming them from the root.
fn uses(file: &str, text: &str) -> BTreeSet<String> {
    let inside = file.strip_prefix("src/").unwrap();
    // How often `super` must be said to reach the root.
    let depth = inside.split('/').count() - usize::from(inside.ends_with("/mod.rs"));
    let mut names = names_behind(text, "crate::");
    names.extend(names_behind(text, "ffai::"));
    for more in 0..2 {
        names.extend(names_behind(text, &"super::".repeat(depth + more)));
    }
    let module = |name: String| if name == "Error" { "error".to_owned() } else { name };
    names.into_iter().map(module).filter(|name| ARROWS.iter().any(|(known, _)| known == name)).collect()
}

#[test]
fn lists_of_names_are_read() {
    assert_eq!(names_behind("use crate::{text, weights::{a, b}, Error};", "crate::"), ["text", "weights", "Error"]);
    assert_eq!(names_behind("crate::graph::Kernel; $crate::no; other_crate::no", "crate::"), ["graph"]);
    assert!(names_behind("debug!(target: \"ffai::kernels\", \"compiled\")", "ffai::").is_empty(), "where a log goes");
    let own = uses("src/cache/mod.rs", "use super::kernels::paged; use crate::Error;");
    assert_eq!(own.into_iter().collect::<Vec<_>>(), ["error", "kernels"]);
    assert!(uses("src/weights/gguf/names.rs", "use super::super::error::Error;").is_empty());
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut strays = Vec::new();
    let mut doors = BTreeSet::new();
    for file in files("src", &["rs"]) {
        let module = file.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(allowed) = allowed.get(module) else { panic!("{file}: module `{module}` has no row in ARROWS") };
        for used in uses(&file, &code(&read(&file))) {
            let door = DOORS.iter().position(|(from, to, _)| *from == file && *to == used);
            doors.extend(door);
            if used != module && !allowed.contains(&used.as_str()) && door.is_none() {
                strays.push(format!("{file} uses `{used}`"));
            }
        }
    }
    assert!(strays.is_empty(), "{} Change the table with its reason, or the code.", strays.join("; "));
    for (index, (file, to, _)) in DOORS.iter().enumerate() {
        assert!(doors.contains(&index), "{file} does not use `{to}` any more: close the door");
    }
}

#[test]
fn only_gpu_names_wgpu() {
    for file in files("src", &["rs"]).into_iter().chain(files("tools", &["rs"])).chain(files("examples", &["rs"])) {
        let named = code(&read(&file)).contains("wgpu::");
        assert!(!named || file.starts_with("src/gpu/"), "{file} names wgpu");
    }
}

#[test]
fn every_shader_file_belongs_to_its_kernel() {
    let mut stems = BTreeSet::new();
    for file in
        fs::read_dir(root().join("wgsl")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let text = fs::read_to_string(&file).unwrap();
        let name = stem(file.to_str().unwrap()).to_owned();
        let Some(kernel) = CATALOGUE.iter().find(|kernel| kernel.name == name) else {
            panic!("wgsl/{name}.wgsl has no kernel")
        };
        assert!(kernel.wgsl.contains(&text.as_str()), "kernel `{name}` does not compile wgsl/{name}.wgsl");
        stems.insert(name);
    }
    for kernel in CATALOGUE {
        assert!(stems.contains(kernel.name), "kernel `{}` has no wgsl/{}.wgsl", kernel.name, kernel.name);
    }
    for file in files("msl", &["metal"]) {
        if file.starts_with("msl/lib/") || file.starts_with("msl/formats/") {
            continue;
        }
        let kernel = CATALOGUE.iter().find(|kernel| kernel.name == stem(&file));
        let pieces = kernel.and_then(|kernel| kernel.metal.as_ref()).map_or(&[] as &[&str], |metal| metal.pieces);
        assert_eq!(pieces.last(), Some(&read(&file).as_str()), "no kernel of its name compiles {file}");
    }
}

#[test]
fn every_kernel_file_is_in_the_catalogue() {
    let names: Vec<&str> = CATALOGUE.iter().map(|kernel| kernel.name).collect();
    assert!(names.is_sorted(), "CATALOGUE is in alphabetical order");
    for file in files("src/kernels", &["rs"]) {
        let declares = read(&file).contains("static KERNEL: Kernel");
        assert!(!declares || names.contains(&stem(&file)), "{file} declares a kernel that `catalogue!` does not list");
    }
    for name in names {
        assert!(root().join(format!("src/kernels/{name}.rs")).is_file(), "kernel `{name}` has no file of its name");
    }
}

/// Formats of one kind share their files: `mlx4_g64_f16` is compiled from `mlx4.wgsl` and declared in `mlx.rs`.
#[test]
fn every_format_file_belongs_to_its_format() {
    let shaders: BTreeSet<String> = files("wgsl/formats", &["wgsl"]).iter().map(|file| stem(file).to_owned()).collect();
    let shader = |name: &'static str| name.split("_g").next().unwrap_or(name);
    let named: BTreeSet<String> = FORMATS.iter().map(|format| shader(format.name).to_owned()).collect();
    assert_eq!(shaders, named, "files of wgsl/formats, and `formats!`");
    for format in FORMATS.iter() {
        let name = shader(format.name);
        let own = read(&format!("wgsl/formats/{name}.wgsl"));
        assert_eq!(format.wgsl.last(), Some(&own.as_str()), "format `{}` compiles another file", format.name);
        let metal = format!("msl/formats/{name}.metal");
        let overrides = if format.metal.is_empty() { None } else { Some(read(&metal)) };
        assert_eq!(
            format.metal.last().copied(),
            overrides.as_deref(),
            "format `{}` compiles another {metal}",
            format.name
        );
        assert_eq!(overrides.is_some(), root().join(&metal).is_file(), "{metal} is there and not compiled");
        let declared = [name, name.trim_end_matches(|c: char| c.is_ascii_digit())];
        assert!(
            declared.iter().any(|name| root().join(format!("src/weights/format/{name}.rs")).is_file()),
            "format `{}` has no file of its name or kind",
            format.name
        );
    }
}

#[test]
fn every_shared_shader_piece_is_used() {
    let sources: String = files("src", &["rs"]).iter().map(|file| code(&read(file))).collect();
    for file in files("wgsl/lib", &["wgsl"]).into_iter().chain(files("msl/lib", &["metal"])) {
        assert!(sources.contains(&format!("{file}\"")), "{file} is in no source");
    }
}

#[test]
fn every_kernel_and_format_has_a_row_in_the_documentation() {
    let page = read("docs/kernels.md");
    for name in CATALOGUE.iter().map(|kernel| kernel.name).chain(FORMATS.iter().map(|format| format.name)) {
        let row = page.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{name}`")));
        assert!(row, "`{name}` has no row: cargo run -p tools -- kernels-doc > docs/kernels.md");
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    let mut long = BTreeSet::new();
    for file in files("", &["rs", "wgsl", "metal", "sh", "py", "h", "cpp"]) {
        if read(&file).lines().count() > LINES {
            assert!(
                LONG.iter().any(|(known, _)| *known == file),
                "{file} has more than {LINES} lines and no listed reason"
            );
            long.insert(file);
        }
    }
    for (file, _) in LONG {
        assert!(long.contains(*file), "{file} is short enough by now: take it off the list");
    }
}

#[test]
fn unsafe_code_stays_in_two_modules_and_says_why_it_is_sound() {
    for file in files("src", &["rs"]).into_iter().chain(files("tools", &["rs"])).chain(files("examples", &["rs"])) {
        let source = read(&file);
        let lines: Vec<&str> = source.lines().collect();
        for (number, line) in code(&source).lines().enumerate() {
            if !line.split(|c| !is_word(c)).any(|word| word == "unsafe") {
                continue;
            }
            let place = format!("{file}:{}", number + 1);
            assert!(
                file.starts_with("src/gpu/") || file.starts_with("src/weights/"),
                "{place}: unsafe code outside gpu and weights"
            );
            let comment = lines[..number].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
            assert!(comment.clone().any(|line| line.contains("SAFETY:")), "{place}: no SAFETY comment above");
        }
    }
}

/// What a token runs through. Locks that are taken only where something went wrong, or where somebody listens, have their reason.
#[test]
fn steps_take_no_lock() {
    let hot = [
        "src/cache/mod.rs",
        "src/generate/engine.rs",
        "src/generate/plans.rs",
        "src/generate/session.rs",
        "src/generate/text_stream.rs",
        "src/gpu/buffers.rs",
        "src/gpu/marks.rs",
        "src/gpu/passes.rs",
        "src/gpu/readback.rs",
        "src/graph/trace.rs",
        "src/text/detokenizer.rs",
        "src/text/stop.rs",
    ];
    for file in hot {
        let code = code(&read(file));
        assert!(
            !code.contains(".lock()") && !code.contains("Mutex") && !code.contains("RwLock"),
            "{file} takes a lock"
        );
    }
    // The message of a device that failed: whether there is one shows in an atomic.
    let gpu = code(&read("src/gpu/mod.rs"));
    let failure = &gpu[gpu.find("impl Failure {").unwrap()..gpu.find("struct Prepared {").unwrap()];
    assert_eq!(gpu.matches(".lock()").count(), failure.matches(".lock()").count(), "a lock outside of Failure");
    assert!(failure.contains("if !self.noted.load(Ordering::Acquire) {"), "Failure locks before it looks");
}

/// Lints are expected with a reason, never switched off: an expectation that is not met any more is reported, an exemption is not.
#[test]
fn no_lint_is_switched_off() {
    let (outer, inner) = (concat!("#[", "allow"), concat!("#![", "allow"));
    for file in files("", &["rs"]) {
        let code = code(&read(&file));
        assert!(!code.contains(outer) && !code.contains(inner), "{file} switches a lint off: use expect with a reason");
    }
}

/// Files that the documentation names in backquotes or links to. Names of one letter and `family` stand for what a reader adds.
#[test]
fn files_that_the_documentation_names_are_there() {
    let folders = ["src/", "wgsl/", "tests/", "tools/", "docs/", "examples/", "fuzz/", ".github/", ".ci/"];
    let mut pages = files("docs", &["md"]);
    pages.extend(["README.md", "CHANGELOG.md"].map(str::to_owned));
    let mut missing = Vec::new();
    for page in &pages {
        let text = read(page);
        let folder = Path::new(page).parent().unwrap();
        let quoted = text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
        let named = quoted.filter(|word| folders.iter().any(|folder| word.starts_with(folder))).map(PathBuf::from);
        let linked = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let linked =
            linked.filter(|target| !target.is_empty() && !target.contains(':')).map(|target| folder.join(target));
        for path in named.chain(linked) {
            let placeholder = path.iter().filter(|part| *part != "..").any(|part| {
                let part = stem(part.to_str().unwrap());
                part.len() == 1 || part == "family" || part.contains(['*', '<'])
            });
            if !placeholder && !root().join(&path).exists() {
                missing.push(format!("{page}: {}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "named and not there: {}", missing.join("; "));
}
