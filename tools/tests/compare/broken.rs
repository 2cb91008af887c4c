//! What is no profile is refused with what was expected, what was found and what to do; what is absent is done without.

use crate::profiles::{Folder, Recipe, tokens, tools};
use serde_json::{Value, json};

/// The message about `content` beside a sound file, on either side.
fn refused(folder: &Folder, content: &[u8], part: &str) {
    let sound = folder.write("sound.json", Recipe { layers: 1, ..Recipe::default() }.run().to_string());
    let bad = folder.write("bad.json", content);
    for files in [[&sound, &bad], [&bad, &sound]] {
        let output = tools(&["compare", files[0], files[1]]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(output.stdout, b"");
        assert!(message.starts_with(&format!("error: {bad}: ")) && message.contains("\nhint: "), "{message}");
        assert!(
            message.contains(part) && message.contains("expected") && message.contains("found"),
            "{part}: {message}"
        );
    }
}

#[test]
fn files_of_no_known_kind_are_refused() {
    let folder = Folder::new("kinds");
    let whole = Recipe { layers: 1, ..Recipe::default() }.run().to_string();
    for (content, part) in [
        ("", "an empty file"),
        ("no JSON", "line 1 column 2"),
        (&whole[..whole.len() / 2], "EOF"),
        (&format!("{whole}\n[STATS]"), "trailing characters"),
        ("[1, 2]", "found a list of 2"),
        ("3", "found the number 3"),
        ("{}", "found an empty object"),
        (r#"{"chip": "m1", "rows": []}"#, "found osVersion: nothing"),
        (r#"{"stats": {}, "generated_ids": []}"#, "hint: run it again with --profile"),
        (r#"{"profile": []}"#, "`profile`: expected an object, found an empty list"),
        (r#"{"profile": {"ops": []}}"#, "`profile`: expected at least one token in `tokens`"),
        (r#"{"tokens": []}"#, "expected at least one token"),
    ] {
        refused(&folder, content.as_bytes(), part);
    }
    refused(&folder, b"\xff\xfe{", "line 1");
    refused(&folder, "[".repeat(100_000).as_bytes(), "recursion");
}

#[test]
fn values_of_another_type_are_refused_with_their_place() {
    let folder = Folder::new("types");
    for (place, value, part) in [
        ("/profile/tokens", json!("x"), "`profile.tokens`: expected a list, found the text \"x\""),
        ("/profile/tokens/3", json!(7), "`profile.tokens[3]`: expected an object, found the number 7"),
        ("/profile/tokens/0/gpu_ms", json!("8"), "`profile.tokens[0].gpu_ms`: expected a number"),
        ("/profile/tokens/0/gpu_ms", json!(-1.0), "found the number -1.0"),
        ("/profile/tokens/0/index", json!(true), "found true"),
        ("/profile/tokens/0/zones/0/path", json!([]), "zones[0].path`: expected a text, found an empty list"),
        ("/profile/tokens/0/zones/0/ops/0/name", Value::Null, "ops[0]`: expected an op with a `name`"),
        ("/profile/counters/syncs", json!("none"), "`profile.counters.syncs`"),
        ("/profile/counters", json!([]), "`profile.counters`: expected an object"),
        ("/profile/memory/0/label", json!(1), "`profile.memory[0].label`: expected a text"),
        ("/stats/post_decode_gpu_bytes", json!("much"), "`stats.post_decode_gpu_bytes`"),
        ("/model", json!({}), "`model`: expected a text, found an empty object"),
    ] {
        let mut run = Recipe { layers: 1, ..Recipe::default() }.run();
        *run.pointer_mut(place).unwrap() = value;
        refused(&folder, run.to_string().as_bytes(), part);
    }
}

/// Every value of a profile, replaced by each of another type: an answer, never a panic.
#[test]
fn no_damage_makes_it_panic() {
    fn places(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| places(value, format!("{at}/{key}"), found)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| places(value, format!("{at}/{index}"), found));
            }
            _ => {}
        }
        found.push(at);
    }
    let run = Recipe { layers: 1, tokens: 0..1, ..Recipe::default() }.run();
    let mut all = Vec::new();
    places(&run, String::new(), &mut all);
    let folder = Folder::new("damage");
    let sound = folder.write("sound.json", run.to_string());
    for place in all {
        for value in [json!(null), json!(0), json!(1e300), json!([[]]), json!({"ms": "ms"})] {
            let mut damaged = run.clone();
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

#[test]
fn files_that_cannot_be_read_and_wrong_options_have_status_2() {
    let folder = Folder::new("unreadable");
    let sound = folder.write("sound.json", Recipe { layers: 1, ..Recipe::default() }.run().to_string());
    let missing = folder.path("missing.json");
    for (arguments, part) in [
        (vec![&*sound, &*missing], "missing.json"),
        (vec![&*sound], "AFTER"),
        (vec![&*sound, &*sound, "--threshold", "much"], "found `much`"),
        (vec![&*sound, &*sound, "--threshold=-1"], "found `-1`"),
        (vec![&*sound, &*sound, "--noise", "NaN"], "found `NaN`"),
    ] {
        let output = tools(&[&["compare"], &arguments[..]].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_bare_profile_and_one_with_little_in_it_are_compared() {
    let folder = Folder::new("bare");
    let mut run = Recipe::default().run();
    let compared = folder.compare(&run, &run["profile"], &[]);
    assert_eq!((compared.status, compared.verdict()), (0, "same"));
    // The clock's times and the number of calls alone: 300 calls of 245 + 55 where there were 245.
    for token in tokens(&mut run) {
        for absent in ["gpu_ms", "gaps_ms", "counters"] {
            token[absent] = Value::Null;
        }
        let zones = token["zones"].take();
        let calls = zones.as_array().unwrap().iter().flat_map(|zone| zone["ops"].as_array().unwrap().clone());
        let ops: Vec<Value> = calls.map(|op| json!({"name": op["name"], "calls": op["calls"]})).collect();
        token["zones"] = json!([{ "path": "all", "ops": ops }]);
    }
    let little = json!({"tokens": run["profile"]["tokens"], "ops": []});
    let mut more = little.clone();
    for token in more["tokens"].as_array_mut().unwrap() {
        token["zones"][0]["ops"][0]["calls"] = json!(56);
    }
    let compared = folder.compare(&little, &more, &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: 1 counter rose"));
    compared.says("calls 245 → 300 (+55)");
    compared.says("embed: 1 → 56 calls per token, +55 in all");
}
