//! Noise is not called a change, and a change is not taken for noise, in files of each kind.

use super::{KINDS, Kind, Recipe, sidecar, sidecar_row};
use crate::profiles::{Folder, compare_files};
use serde_json::{Value, json};

const REPETITIONS: u64 = 10;

/// Names of what was found to be so.
fn found<'a>(object: &'a Value, finding: &str) -> Vec<&'a str> {
    let speeds = object["speeds"].as_array().unwrap().iter().filter(|speed| speed["finding"] == finding);
    speeds.map(|speed| speed["row"].as_str().unwrap()).collect()
}

#[test]
fn one_kernel_that_slowed_by_a_tenth_is_called_slower_and_no_other() {
    let folder = Folder::new("series-tenth");
    for kind in KINDS {
        let hits = (0..REPETITIONS).filter(|seed| {
            let before = Recipe { seed: 2 * seed, ..Recipe::default() };
            let after = Recipe { seed: 2 * seed + 1, slowed: ("softmax", 1.1), ..before };
            let object = before.against(&after, &folder, kind);
            let slower = found(&object, "slower");
            slower.len() == 1 && slower[0].contains("softmax") && found(&object, "faster").is_empty()
        });
        let hits = hits.count() as u64;
        assert!(hits * 10 >= REPETITIONS * 9, "{kind:?}: {hits} of {REPETITIONS}");
    }
}

/// As `tools bench` measures without being told otherwise: a prompt and a generation, five times each.
#[test]
fn five_runs_of_two_tests_are_enough() {
    let folder = Folder::new("series-five");
    let run = |seed: u64, slowed: f64| {
        let mut random = crate::profiles::Random(seed);
        let mut row = |model: &str, rate: f64| {
            let rates: Vec<f64> = (0..5).map(|_| rate * (1.0 + 0.025 * random.normal())).collect();
            super::bench_row(model, &rates)
        };
        json!([row("prompt", 900.0), row("generation", 50.0 / slowed)])
    };
    let slower = (0..20).filter(|seed| {
        let object = folder.object(&run(2 * seed, 1.0), &run(2 * seed + 1, 1.1), &[]);
        found(&object, "slower") == ["generation tg128 @ d4096"]
    });
    let slower = slower.count();
    assert!(slower >= 18, "{slower} of 20");
    let changed = (0..20).filter(|seed| {
        let object = folder.object(&run(100 + 2 * seed, 1.0), &run(101 + 2 * seed, 1.0), &[]);
        !found(&object, "slower").is_empty() || !found(&object, "faster").is_empty()
    });
    let changed = changed.count();
    assert!(changed <= 2, "{changed} of 20");
}

#[test]
fn no_change_is_called_none() {
    let folder = Folder::new("series-none");
    for kind in KINDS {
        let quiet = (0..REPETITIONS).filter(|seed| {
            let before = Recipe { seed: 500 + 2 * seed, ..Recipe::default() };
            let object = before.against(&Recipe { seed: 501 + 2 * seed, ..before }, &folder, kind);
            matches!(object["verdict"].as_str().unwrap(), "same" | "can't tell")
        });
        let quiet = quiet.count() as u64;
        assert!(quiet * 10 >= REPETITIONS * 9, "{kind:?}: {quiet} of {REPETITIONS}");
    }
}

/// Without an allowance the bounds alone have to hold, over all benchmarks together.
#[test]
fn bounds_hold_together() {
    let folder = Folder::new("series-together");
    let changed = (0..40).filter(|seed| {
        let before = Recipe { seed: 900 + 2 * seed, ..Recipe::default() };
        let files = [before, Recipe { seed: 901 + 2 * seed, ..before }]
            .map(|recipe| recipe.write(&folder, &format!("{}", recipe.seed), Kind::BenchList));
        let page = compare_files(&files[0], &files[1], &["--noise", "0", "--json"]).page;
        let object: Value = serde_json::from_str(&page).unwrap();
        !found(&object, "slower").is_empty() || !found(&object, "faster").is_empty()
    });
    let changed = changed.count();
    assert!(changed <= 5, "{changed} of 40");
}

#[test]
fn what_is_far_better_is_faster_and_what_is_equal_is_the_same() {
    let folder = Folder::new("series-equal");
    for kind in KINDS {
        let before = Recipe { noise: 0.001, ..Recipe::default() };
        let object = before.against(&Recipe { seed: 1, slowed: ("rope", 0.8), ..before }, &folder, kind);
        assert_eq!(object["verdict"], "better", "{kind:?}: {object}");
        let faster = found(&object, "faster");
        assert!(faster.len() == 1 && faster[0].contains("rope"), "{kind:?}: {faster:?}");
        assert_eq!(before.against(&before, &folder, kind)["verdict"], "same");
    }
}

#[test]
fn a_loss_beyond_the_threshold_fails_and_one_within_it_does_not() {
    let folder = Folder::new("series-status");
    for kind in KINDS {
        let before = Recipe { noise: 0.002, ..Recipe::default() };
        let slowed = |by| Recipe { seed: 1, slowed: ("rms_norm", by), ..before };
        let files = [before, slowed(1.1), slowed(1.04)]
            .iter()
            .enumerate()
            .map(|(index, recipe)| recipe.write(&folder, &format!("status{index}"), kind))
            .collect::<Vec<_>>();
        let compared = compare_files(&files[0], &files[1], &[]);
        assert_eq!(compared.status, 1, "{}", compared.page);
        assert!(
            compared.verdict().starts_with("worse: ") && compared.verdict().contains("is slower by "),
            "{}",
            compared.page
        );
        assert!(
            compared.page.lines().any(|line| line.contains("rms_norm") && line.ends_with("  slower")),
            "{}",
            compared.page
        );
        assert!(compared.page.contains("5 speeds within ±2 %."), "{}", compared.page);
        let compared = compare_files(&files[0], &files[2], &[]);
        assert_eq!((compared.status, compared.verdict()), (0, "slower: 1 speed slowed within the threshold"));
        assert_eq!(compare_files(&files[0], &files[2], &["--threshold", "3"]).status, 1);
        assert_eq!(compare_files(&files[0], &files[1], &["--threshold", "20"]).status, 0);
    }
}

/// A single run has no noise that is known.
#[test]
fn single_runs_tell_nothing_however_far_apart() {
    let folder = Folder::new("series-single");
    let before = Recipe { runs: 1, noise: 0.0, ..Recipe::default() };
    for kind in KINDS {
        let files = [
            before.write(&folder, "before", kind),
            Recipe { slowed: ("head", 3.0), ..before }.write(&folder, "after", kind),
        ];
        let compared = compare_files(&files[0], &files[1], &[]);
        assert_eq!((compared.status, compared.verdict()), (0, "can't tell"), "{}", compared.page);
        assert!(compared.page.contains("can't tell: 1 and 1 values are too few"), "{}", compared.page);
    }
}

fn with_quality(fields: Value) -> Value {
    let mut row = sidecar_row("tiny", &[10.0; 5]);
    for (key, value) in fields.as_object().unwrap() {
        row[key] = value.clone();
    }
    sidecar(vec![row])
}

#[test]
fn quality_is_judged_by_its_errors() {
    let folder = Folder::new("series-quality");
    let perplexity =
        |value: f64, error: f64| with_quality(json!({"genPerplexity": value, "genPerplexityError": error}));
    let divergence =
        |value: f64, error: f64| with_quality(json!({"genKLDivergence": value, "genKLDivergenceError": error}));
    for (before, after, status, finding) in [
        (perplexity(20.0, 0.01), perplexity(21.0, 0.01), 1, "worse"),
        (perplexity(21.0, 0.01), perplexity(20.0, 0.01), 0, "better"),
        (perplexity(20.0, 0.5), perplexity(21.0, 0.5), 0, "can't tell"),
        (perplexity(20.0, 0.001), perplexity(20.01, 0.001), 0, "same"),
        (divergence(0.01, 1e-4), divergence(0.03, 1e-3), 1, "worse"),
        (divergence(0.03, 1e-3), divergence(0.01, 1e-4), 0, "better"),
        (divergence(0.03, 0.02), divergence(0.04, 0.02), 0, "can't tell"),
        (divergence(0.0, 0.0), divergence(0.0, 0.0), 0, "same"),
    ] {
        let compared = folder.compare(&before, &after, &["--json"]);
        let object: Value = serde_json::from_str(&compared.page).unwrap();
        assert_eq!((compared.status, object["quality"][0]["finding"].as_str().unwrap()), (status, finding), "{object}");
    }
    // Without errors nothing is known, save that equal is equal.
    let bare = |value: f64| with_quality(json!({ "genPerplexity": value }));
    assert_eq!(folder.object(&bare(20.0), &bare(30.0), &[])["quality"][0]["finding"], "can't tell");
    assert_eq!(folder.object(&bare(20.0), &bare(20.0), &[])["quality"][0]["finding"], "same");
}

#[test]
fn memory_that_grew_fails() {
    let folder = Folder::new("series-memory");
    let size = |bytes: u64| with_quality(json!({ "peakGPUBytes": bytes }));
    let compared = folder.compare(&size(500 << 20), &size(600 << 20), &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: memory grew in 1 row"));
    compared.says("tiny simple 4bit at 4096, peak GPU memory 500.0 MiB → 600.0 MiB (+100.0 MiB)");
    assert_eq!(folder.compare(&size(500 << 20), &size((500 << 20) + 4096), &[]).status, 0);
}
