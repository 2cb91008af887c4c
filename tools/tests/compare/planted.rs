//! Each planted change is found and named, and nothing else is.

use crate::profiles::{Folder, Recipe, each_zone, tokens};
use serde_json::{Value, json};

fn base() -> Value {
    Recipe::default().run()
}

/// Steady counters of a run that change to what is given.
fn counted(counters: &[(&str, u64)]) -> Value {
    let mut run = base();
    for (name, value) in counters {
        run["profile"]["counters"][*name] = json!(value);
    }
    run
}

#[test]
fn a_file_against_itself_is_the_same() {
    let compared = Folder::new("itself").compare(&base(), &base(), &[]);
    assert_eq!((compared.status, compared.verdict()), (0, "same"));
    assert!(
        !compared.page.contains("warning") && !compared.page.contains("counters") && !compared.page.contains("calls")
    );
}

/// One norm more in each of 30 layers: 245 + 30 dispatches, 61 + 30 norms.
#[test]
fn a_dispatch_more_per_layer_is_named_with_its_op_and_zones() {
    let mut after = counted(&[("dispatches", 275), ("hazards", 270)]);
    each_zone(&mut after, |zone| {
        if zone["path"].as_str().unwrap().ends_with("/attention") {
            zone["ops"][0]["calls"] = json!(2);
        }
    });
    let compared = Folder::new("dispatch").compare(&base(), &after, &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: 2 counters rose"));
    compared.says("dispatches 245 → 275 (+30)");
    compared.says("hazards 240 → 270 (+30)");
    compared.says("rms_norm: 61 → 91 calls per token, +1 in each of layer 0 … layer 29/attention");
    assert_eq!(compared.page.matches("calls per token").count(), 1);
}

#[test]
fn ops_that_are_new_or_gone_are_named() {
    let mut after = base();
    each_zone(&mut after, |zone| {
        if zone["path"] == "sample" {
            zone["ops"][1]["name"] = json!("sample_draw");
        }
    });
    let folder = Folder::new("new");
    let compared = folder.compare(&base(), &after, &[]);
    compared.says("sample_draw: 0 → 1 calls per token (new), +1 in sample");
    compared.says("sample_best: 1 → 0 calls per token (gone), −1 in sample");
    assert_eq!((compared.status, compared.verdict()), (0, "same"));
    let object = folder.object(&base(), &after, &[]);
    let zones = json!([{ "path": "sample", "before": 0.0, "after": 1.0 }]);
    assert_eq!(
        object["calls"][0],
        json!({"op": "sample_draw", "before": 0.0, "after": 1.0, "places": "+1 in sample", "zones": zones})
    );
}

#[test]
fn calls_in_one_token_of_many_show() {
    let mut after = base();
    tokens(&mut after)[3]["zones"][0]["ops"][0]["calls"] = json!(9);
    // 8 calls more in one of 16 tokens.
    Folder::new("rare").compare(&base(), &after, &[]).says("embed: 1 → 1.50 calls per token, +0.50 in embed");
}

#[test]
fn a_blocking_readback_is_named() {
    let after = counted(&[("syncs", 1), ("readback_bytes", 196_612)]);
    let compared = Folder::new("blocking").compare(&base(), &after, &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: 2 counters rose"));
    compared.says("syncs 0 → 1 (+1)");
    compared.says("readback bytes 4 → 196612 (+196608)");
    // From nothing is the worst rise of all.
    assert!(compared.page.find("syncs").unwrap() < compared.page.find("readback").unwrap());
}

/// 30 layers of 0.2 ms of `matvec` and 0.5 ms in the head are 6.5 ms; a tenth more is 7.15. The median token, between 22 and 23,
/// has 30 · 0.02 · 1.225 = 0.735 ms of attention, 61 · 0.01 of norms, 0.3 of rotary, 0.035 of embedding and sampling and 0.4 of gaps:
/// 8.58 ms, then 9.23, which is 7.6 % more.
#[test]
fn an_op_that_slowed_and_the_total_are_named() {
    let after = Recipe { slowed: ("matvec", 1.1), ..Recipe::default() }.run();
    let folder = Folder::new("slow");
    let compared = folder.compare(&base(), &after, &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: the total lost 7.6 % (allowed: 5 %)"));
    compared.says("matvec 6.500 → 7.150  +10.0 %  [+10.0 % … +10.0 %]  slower");
    // Its bounds are those of tokens that take 8.50 … 8.66 ms.
    assert!(compared.page.contains("token (gpu) 8.580 → 9.230   +7.6 %  ["), "{}", compared.page);
    let compared = folder.compare(&base(), &after, &["--threshold", "7.7"]);
    assert_eq!(compared.status, 0);
    assert_eq!(compared.verdict(), "slower: 1 op slowed beyond the noise");
}

#[test]
fn swapped_sides_turn_slower_into_faster_and_worse_into_better() {
    let before = Recipe { noise: 0.02, seed: 1, ..Recipe::default() }.run();
    let mut after = Recipe { noise: 0.02, seed: 2, slowed: ("matvec", 1.1), ..Recipe::default() }.run();
    after["profile"]["counters"]["syncs"] = json!(1);
    let folder = Folder::new("swapped");
    let (forth, back) = (folder.object(&before, &after, &[]), folder.object(&after, &before, &[]));
    assert_eq!((&forth["verdict"], &back["verdict"]), (&json!("worse"), &json!("better")));
    let findings = |object: &Value| -> Vec<(String, String)> {
        let text = |op: &Value, key: &str| op[key].as_str().unwrap().to_owned();
        let mut found: Vec<(String, String)> =
            object["ops"].as_array().unwrap().iter().map(|op| (text(op, "name"), text(op, "finding"))).collect();
        found.push((text(&object["total"], "name"), text(&object["total"], "finding")));
        found.sort();
        found
    };
    let turned = findings(&forth).into_iter().map(|(name, finding)| {
        let finding = match finding.as_str() {
            "slower" => "faster",
            "faster" => "slower",
            other => other,
        };
        (name, finding.to_owned())
    });
    assert_eq!(turned.collect::<Vec<_>>(), findings(&back));
    assert!(findings(&forth).contains(&("matvec".to_owned(), "slower".to_owned())));
    assert_eq!(forth["counters"][0]["before"], back["counters"][0]["after"]);
}

#[test]
fn what_makes_profiles_hard_to_compare_is_said_first() {
    let mut after = Recipe { tokens: 100..116, ..Recipe::default() }.run();
    after["model"] = json!("elsewhere/other.gguf");
    after["device"] = json!("another card");
    after["profile"]["method"] = json!("host clock");
    after["stats"]["generated_tokens"] = json!(200);
    tokens(&mut after)[1]["untimed_ops"] = json!(3);
    let page = Folder::new("warnings").compare(&base(), &after, &[]).page;
    assert!(page.contains("after.json: 3 calls have no time, so times are too short\n"), "{page}");
    let lines: Vec<&str> = page.lines().skip(2).take(5).collect();
    assert_eq!(
        lines,
        [
            "warning: models differ: tiny.gguf, then other.gguf",
            "warning: devices differ: card, then another card",
            "warning: methods of timing differ: timestamps, then host clock",
            "warning: generated texts differ: 64 tokens, then 200 tokens",
            "warning: no tokens at the same positions: they attend to different lengths",
        ]
    );
}

/// It ran once, so it is shown and fails nothing.
#[test]
fn a_prefill_that_changed_is_shown() {
    let mut after = base();
    after["profile"]["prefill"]["gpu_ms"] = json!(after["profile"]["prefill"]["gpu_ms"].as_f64().unwrap() * 1.5);
    after["profile"]["prefill"]["zones"][0]["ops"][0]["calls"] = json!(2);
    let folder = Folder::new("prefill");
    let compared = folder.compare(&base(), &after, &[]);
    compared.says("embed: 1 → 2 calls, +1 in embed");
    assert!(compared.page.contains("+50.0 %  too few measurements to tell"), "{}", compared.page);
    assert_eq!((compared.status, compared.verdict()), (0, "same"));
    // In chunks it is the sum of them.
    let mut chunks = base();
    chunks["profile"]["prefill"] = json!([chunks["profile"]["prefill"], chunks["profile"]["prefill"]]);
    let compared = folder.compare(&base(), &chunks, &[]);
    compared.says(
        "matvec: 121 → 242 calls, +2 in each of layer 0 … layer 29/attention, layer 0 … layer 29/mlp; +1 in head",
    );
    assert!(compared.page.contains("+100.0 %  too few"), "{}", compared.page);
}

/// Attention takes longer further on: tokens 15 … 30 against 15 … 60 are the same where both have them.
#[test]
fn tokens_are_compared_at_the_same_positions() {
    let longer = Recipe { tokens: 15..61, ..Recipe::default() }.run();
    let compared = Folder::new("positions").compare(&base(), &longer, &[]);
    assert_eq!((compared.status, compared.verdict()), (0, "same"));
    assert!(compared.page.contains("median of 16 tokens at the same positions"), "{}", compared.page);
}
