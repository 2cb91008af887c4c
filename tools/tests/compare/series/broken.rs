//! What is damaged or foreign is refused with status 2, and the file is named.

use super::{KINDS, Recipe, bench_row, criterion, sidecar, sidecar_row};
use crate::profiles::{Folder, tools};
use serde_json::{Value, json};

fn refused(before: &str, after: &str, parts: &[&str]) {
    let output = tools(&["compare", before, after]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(output.stdout, b"");
    assert!(message.starts_with("error: ") && message.contains("\nhint: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
}

#[test]
fn two_kinds_are_not_compared() {
    let folder = Folder::new("series-two-kinds");
    let [sidecar, criterion, lines, _] = KINDS.map(|kind| Recipe::default().write(&folder, &format!("{kind:?}"), kind));
    for (before, after) in [(&sidecar, &criterion), (&criterion, &lines), (&lines, &sidecar)] {
        refused(before, after, &["expected two of a kind"]);
    }
}

#[test]
fn damaged_sidecars_are_named_with_the_place() {
    let folder = Folder::new("series-sidecar");
    let sound = folder.write("sound.json", sidecar(vec![sidecar_row("tiny", &[1.0])]).to_string());
    let whole = sidecar(vec![sidecar_row("tiny", &[1.0])]);
    let (mut text, mut nameless) = (whole.clone(), whole);
    let mut listless = sidecar(Vec::new());
    listless["rows"] = json!({});
    text["rows"][0]["decodeTokensPerSecond"] = json!("fast");
    nameless["rows"][0].as_object_mut().unwrap().remove("model");
    for (content, part) in [
        (text.to_string(), "`rows[0].decodeTokensPerSecond`: expected a row of `ffai bench`, found: invalid type"),
        (nameless.to_string(), "`rows[0]`: expected a row with `model` and `method`"),
        (listless.to_string(), "expected `rows` to be a list"),
        (sidecar(Vec::new()).to_string(), "expected at least one row"),
    ] {
        let bad = folder.write("bad.json", content);
        refused(&sound, &bad, &[&bad, part]);
    }
}

#[test]
fn damaged_rows_are_named_with_the_place() {
    let folder = Folder::new("series-bench");
    let row = bench_row("tiny", &[1.0]);
    let sound = folder.write("sound.json", json!([row]).to_string());
    let broken = |key: &str, value: Value| {
        let mut broken = row.clone();
        broken[key] = value;
        json!([row, broken]).to_string()
    };
    for (content, part) in [
        (broken("samples_ts", json!([])), "`[1]`: expected a row with `samples_ts`"),
        (broken("samples_ts", json!([1.0, "x"])), "`[1].samples_ts[1]`: expected a number"),
        (broken("n_gen", json!("128")), "`[1].n_gen`: expected a number"),
        (broken("samples_ts", json!([0.0])), "`samples_ns` above 0"),
        (format!("{row}\n{{\"n_prompt\": 1"), "line 2: expected a row as JSON"),
        (format!("{row}\n17\n"), "`[1]`: expected an object"),
    ] {
        let bad = folder.write("bad.jsonl", content);
        refused(&bad, &sound, &[&bad, part]);
    }
}

#[test]
fn damaged_folders_of_criterion_are_named_with_the_file() {
    let folder = Folder::new("series-criterion");
    criterion(&folder, "sound/softmax/new", "softmax", &[1.0, 1.0, 1.0]);
    let sound = folder.path("sound");
    for (file, content, part) in [
        ("benchmark.json", "{}", "expected a benchmark with a `full_id`"),
        ("benchmark.json", "{", "expected what criterion wrote, found: EOF"),
        ("sample.json", r#"{"iters": [1], "times": []}"#, "expected as many `iters` as `times`"),
        ("sample.json", r#"{"iters": [0], "times": [1]}"#, "none 0"),
        ("sample.json", r#"{"iters": "x"}"#, "`iters`: expected a list"),
    ] {
        criterion(&folder, "bad/softmax/new", "softmax", &[1.0, 1.0, 1.0]);
        let bad = folder.write(&format!("bad/softmax/new/{file}"), content);
        refused(&sound, &folder.path("bad"), &[&bad, part]);
    }
    folder.write("foreign/notes.txt", "no benchmark");
    refused(&folder.path("foreign"), &sound, &["foreign: expected benchmarks of criterion"]);
}

#[test]
fn nothing_in_common_is_no_comparison() {
    let folder = Folder::new("series-nothing");
    let [one, other] = ["one", "other"]
        .map(|model| folder.write(&format!("{model}.json"), json!([bench_row(model, &[1.0, 1.0, 1.0])]).to_string()));
    refused(&one, &other, &["expected rows of the same name, found none", "`one tg128 @ d4096`"]);
}

/// Every value of a file of each kind, replaced by one of another type: an answer, never a panic.
#[test]
fn no_damage_makes_it_panic() {
    let folder = Folder::new("series-damage");
    let sidecar = sidecar(vec![sidecar_row("tiny", &[1.0, 2.0, 3.0])]);
    let bench = json!([bench_row("tiny", &[1.0, 2.0, 3.0])]);
    for whole in [sidecar, bench] {
        let sound = folder.write("sound.json", whole.to_string());
        let mut places = vec![(String::new(), whole.clone())];
        let mut all = Vec::new();
        while let Some((place, value)) = places.pop() {
            match &value {
                Value::Object(object) => {
                    places.extend(object.iter().map(|(key, value)| (format!("{place}/{key}"), value.clone())));
                }
                Value::Array(items) => {
                    let item = |(index, value): (usize, &Value)| (format!("{place}/{index}"), value.clone());
                    places.extend(items.iter().enumerate().map(item));
                }
                _ => {}
            }
            all.push(place);
        }
        for place in all {
            for value in [json!(null), json!(-1), json!([[]])] {
                let mut damaged = whole.clone();
                *damaged.pointer_mut(&place).unwrap() = value;
                let output = tools(&["compare", &sound, &folder.write("damaged.json", damaged.to_string())]);
                assert!(
                    matches!(output.status.code(), Some(0..=2)),
                    "{place}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
}
