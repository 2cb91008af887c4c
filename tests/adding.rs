//! Adding a family or a format touches the files that its page names and no others, and the copy that results passes its tests.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that are no part of the tree.
const FOREIGN: [&str; 5] = ["target", ".git", "artifacts", "corpus", "__pycache__"];

/// What a page has readers add: for `family` in `docs/adding-a-model.md`, for `f` in `docs/adding-a-format.md`.
struct Addition {
    page: &'static str,
    placeholder: &'static str,
    name: &'static str,
    /// File, the text behind which something is inserted, and what.
    insertions: &'static [(&'static str, &'static str, &'static str)],
}

const FAMILY: Addition = Addition {
    page: "docs/adding-a-model.md",
    placeholder: "family",
    name: "toy",
    insertions: &[
        ("src/model/mod.rs", "families! { llama", ", toy"),
        ("tests/golden_families.rs", "const MODELS: &[(&str, &str)] = &[\n", "    (\"toy/hf\", \"toy/logits.npy\"),\n"),
    ],
};

const FORMAT: Addition = Addition {
    page: "docs/adding-a-format.md",
    placeholder: "f",
    name: "tq2_0",
    insertions: &[
        ("src/weights/format/mod.rs", "formats! {\n    f32", ", tq2_0"),
        ("tests/golden/formats/make.py", "LAYOUTS = {\n", "    \"TQ2_0\": Layout((64,)),\n"),
        ("tests/golden/formats/versions.json", "\"formats\": {\n", "    \"tq2_0\": {\"weights_per_block\": 256},\n"),
        (
            "tests/faults.rs",
            "const FAULTS: &[(&str, &str, &str, &str)] = &[\n",
            "    (\"matvec\", \"tq2_0: scale of the neighbour\", \"(block / 8u % 2u * 16u)\", \"0u\"),\n",
        ),
        // What `tools kernels-doc` prints.
        (
            "docs/kernels.md",
            "| `q8_0` | 34 per 1 | 32 + 2 | 8.5 | yes |\n",
            "| `tq2_0` | 66 per 8 | 8 + 0.25 | 2.0625 |  |\n",
        ),
    ],
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of a tree by its path from there.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !FOREIGN.contains(&name) {
                folders.push(path);
            } else if path.is_file() {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// What lies beside this file for the addition.
fn given(name: &str) -> Vec<u8> {
    std::fs::read(root().join("tests/adding").join(name)).unwrap()
}

/// The tree with the toy family.
fn with_family(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.insert("src/model/toy.rs".into(), given("toy.rs"));
    files.insert("tests/golden/toy/logits.npy".into(), given("toy.logits.npy"));
    for file in ["tokens.json", "hf/model.safetensors"] {
        let same = files[&format!("tests/golden/llama/{file}")].clone();
        files.insert(format!("tests/golden/toy/{file}"), same);
    }
    let mut config: Value = serde_json::from_slice(&files["tests/golden/llama/hf/config.json"]).unwrap();
    config["architectures"] = json!(["ToyForCausalLM"]);
    config["model_type"] = json!("toy");
    config["hidden_act"] = json!("gelu_pytorch_tanh");
    files.insert("tests/golden/toy/hf/config.json".into(), config.to_string().into_bytes());
    inserted(files, &FAMILY)
}

/// The tree with the format.
fn with_format(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.insert("src/weights/format/tq2_0.rs".into(), given("tq2_0.rs"));
    files.insert("wgsl/formats/tq2_0.wgsl".into(), given("tq2_0.wgsl"));
    for file in ["tq2_0.blocks", "tq2_0.f32"] {
        files.insert(format!("tests/golden/formats/{file}"), given(file));
    }
    inserted(files, &FORMAT)
}

fn inserted(mut files: BTreeMap<String, Vec<u8>>, addition: &Addition) -> BTreeMap<String, Vec<u8>> {
    for (file, behind, what) in addition.insertions {
        let text = String::from_utf8(files[*file].clone()).unwrap();
        assert!(text.contains(behind), "{file} has no {behind:?}: mend tests/adding.rs");
        files.insert((*file).into(), text.replacen(behind, &format!("{behind}{what}"), 1).into_bytes());
    }
    files
}

/// Files that are in `after` alone, and those that differ.
fn touched(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> [BTreeSet<String>; 2] {
    assert!(before.keys().all(|file| after.contains_key(file)), "nothing is taken away");
    let (old, new): (Vec<_>, Vec<_>) = after.iter().partition(|(file, _)| before.contains_key(*file));
    let changed = old.into_iter().filter(|(file, bytes)| before[*file] != **bytes);
    [new.into_iter().map(|(file, _)| file.clone()).collect(), changed.map(|(file, _)| file.clone()).collect()]
}

/// A row of a page's table of files.
struct Row {
    /// A path from the root; with a slash at its end, everything below it.
    path: String,
    new: bool,
    always: bool,
}

/// The table that begins with `| file | change | when |`.
fn rows(addition: &Addition) -> Vec<Row> {
    let text = std::fs::read_to_string(root().join(addition.page)).unwrap();
    let table = text.lines().skip_while(|line| !line.starts_with("| file | change | when |")).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let path = cells[1].trim_matches('`').split('/').map(|part| {
            let (stem, ending) = part.split_once('.').map_or((part, None), |(stem, ending)| (stem, Some(ending)));
            let stem = if stem == addition.placeholder { addition.name } else { stem };
            ending.map_or(stem.to_owned(), |ending| format!("{stem}.{ending}"))
        });
        let path = path.collect::<Vec<_>>().join("/");
        Row { path, new: cells[2].starts_with("new"), always: cells[3].starts_with("always") }
    };
    table.take_while(|line| line.starts_with("| `")).map(row).collect()
}

/// The page names all files that were touched, as new or changed, and of those that it always wants none was spared.
fn check(addition: &Addition, [new, changed]: [BTreeSet<String>; 2]) {
    let rows = rows(addition);
    assert!(rows.len() > 3, "{} has no table of files", addition.page);
    let names = |row: &Row, file: &str| file == row.path || row.path.ends_with('/') && file.starts_with(&row.path);
    println!("{} → {}", addition.page, addition.name);
    for (file, is_new) in new.iter().map(|file| (file, true)).chain(changed.iter().map(|file| (file, false))) {
        println!("  {} {file}", if is_new { "new    " } else { "changed" });
        let named = rows.iter().any(|row| row.new == is_new && names(row, file));
        assert!(named, "{file} is touched, and {} does not name it so", addition.page);
    }
    for row in rows.iter().filter(|row| row.always) {
        let found = if row.new { &new } else { &changed };
        assert!(
            found.iter().any(|file| names(row, file)),
            "{} names {} and it is not touched",
            addition.page,
            row.path
        );
    }
}

/// Makes `folder` hold `files` and nothing else, touching nothing that is so already: what was compiled stays valid.
fn write(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let old = tree(folder);
    for file in old.keys().filter(|file| !files.contains_key(*file)) {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    for (file, bytes) in files.iter().filter(|(file, bytes)| old.get(*file) != Some(bytes)) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// Runs `cargo test` in the copy, with what is compiled already for this tree's dependencies.
fn run(copy: &Path, arguments: &[&str]) {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace", "--offline", "--locked"]).current_dir(copy);
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    command.args(["--profile", if profile == "dev" { "test" } else { "release" }]);
    // Nobody debugs the copy, and it is compiled once.
    for setting in ["debug", "incremental"] {
        command.args(["--config", &format!("profile.{profile}.package.ffai.{setting}=false")]);
    }
    command.args(arguments);
    // What cargo told this test about this package.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_")) {
        command.env_remove(name);
    }
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        command.env("CARGO_HOME", home);
    }
    // Programs go elsewhere, so that those of this tree stay what they are.
    command.env("CARGO_BUILD_BUILD_DIR", &target).env("CARGO_TARGET_DIR", target.join("adding"));
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    println!("{}", stdout.lines().filter(|line| line.starts_with("test ")).collect::<Vec<_>>().join("\n"));
    assert!(output.status.success(), "cargo {arguments:?} fails in {}:\n{stderr}\n{stdout}", copy.display());
}

#[test]
fn the_files_that_the_pages_name_are_all_there_is_to_touch() {
    let before = tree(root());
    check(&FAMILY, touched(&before, &with_family(before.clone())));
    check(&FORMAT, touched(&before, &with_format(before.clone())));
}

#[test]
#[ignore = "compiles a copy of the tree: a step of its own in tools/test.sh"]
fn a_family_and_a_format_added_by_their_pages_pass_the_tests() {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("adding");
    write(&copy, &with_format(with_family(tree(root()))));
    let tests = ["--test", "structure", "--test", "golden_families", "--test", "golden_formats"];
    let laws = ["cpu_logits_agree", "gguf_formats_unpack", "every_", "files_", "modules_"];
    run(&copy, &[&tests[..], &["--"], &laws].concat());
}

#[test]
#[should_panic(expected = "src/graph/plan.rs is touched, and docs/adding-a-model.md does not name it so")]
fn a_file_that_the_page_does_not_name_is_found() {
    let before = tree(root());
    let mut after = with_family(before.clone());
    after.get_mut("src/graph/plan.rs").unwrap().push(b'\n');
    check(&FAMILY, touched(&before, &after));
}

#[test]
#[should_panic(expected = "docs/adding-a-format.md names wgsl/formats/tq2_0.wgsl and it is not touched")]
fn a_file_that_is_named_and_not_needed_is_found() {
    let before = tree(root());
    let mut after = with_format(before.clone());
    after.remove("wgsl/formats/tq2_0.wgsl").unwrap();
    check(&FORMAT, touched(&before, &after));
}
