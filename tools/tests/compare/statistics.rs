//! Noise is not called a change, and a change is not taken for noise.

use crate::profiles::{Folder, Recipe};
use serde_json::{Value, json};

fn noisy(seed: u64, slowed: (&'static str, f64)) -> Value {
    Recipe { layers: 2, noise: 0.02, seed, slowed, ..Recipe::default() }.run()
}

/// Whether anything at all is called slower or faster.
fn changed(object: &Value) -> bool {
    let ops = object["ops"].as_array().unwrap().iter().chain([&object["total"]]);
    let called = |time: &Value| matches!(time["finding"].as_str().unwrap(), "slower" | "faster");
    object["verdict"] != "same" || ops.into_iter().any(called)
}

#[test]
fn noise_alone_is_rarely_called_a_change() {
    let folder = Folder::new("noise");
    // Without an allowance the bounds alone have to hold.
    for (noise, most) in [("2", 10), ("0", 10)] {
        let pairs = (0..200).map(|seed| {
            let (before, after) = (noisy(2 * seed, ("", 1.0)), noisy(2 * seed + 1, ("", 1.0)));
            folder.object(&before, &after, &["--noise", noise])
        });
        let called = pairs.filter(changed).count();
        assert!(called <= most, "{called} of 200 with --noise {noise}");
    }
}

#[test]
fn a_tenth_more_is_found_in_noise() {
    let folder = Folder::new("tenth");
    for op in ["matvec", "rms_norm", "sample_best"] {
        let found = (0..50).filter(|seed| {
            let object = folder.object(&noisy(1000 + 2 * seed, ("", 1.0)), &noisy(1001 + 2 * seed, (op, 1.1)), &[]);
            let slowed = |time: &&Value| time["finding"] == "slower";
            let named = object["ops"].as_array().unwrap().iter().filter(slowed);
            named.map(|time| time["name"].as_str().unwrap()).collect::<Vec<_>>() == [op]
        });
        let found = found.count();
        assert!(found >= 45, "{op}: {found} of 50");
    }
}

/// One token in eight waited for something else; the others say what they say.
#[test]
fn tokens_that_waited_hide_nothing() {
    let folder = Folder::new("waited");
    let (before, mut after) = (noisy(1, ("", 1.0)), noisy(2, ("matvec", 1.1)));
    for token in [4, 11] {
        let op = &mut after["profile"]["tokens"][token]["zones"][1]["ops"][1];
        op["ms"] = (op["ms"].as_f64().unwrap() * 50.0).into();
    }
    let object = folder.object(&before, &after, &[]);
    let matvec = object["ops"].as_array().unwrap().iter().find(|time| time["name"] == "matvec").unwrap();
    assert_eq!(matvec["finding"], "slower");
    assert!((5.0..15.0).contains(&matvec["change_percent"].as_f64().unwrap()), "{matvec}");
}

/// Of 9, 9, 10.6, 10.7, 10.8 and 30 where there was 10, the median is 6.5 % more, and half of the tokens say otherwise.
#[test]
fn a_loss_that_noise_explains_fails_nothing() {
    let run = |times: [f64; 6]| json!({ "tokens": times.map(|ms| json!({ "gpu_ms": ms })), "ops": [] });
    let folder = Folder::new("doubt");
    let compared = folder.compare(&run([10.0; 6]), &run([9.0, 10.6, 30.0, 10.8, 9.0, 10.7]), &[]);
    assert_eq!(compared.status, 0);
    assert_eq!(compared.verdict(), "same: the total differs by +6.5 %, which noise explains as well");
    let compared = folder.compare(&run([10.0; 6]), &run([10.5, 10.6, 30.0, 10.8, 10.6, 10.7]), &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: the total lost 6.5 % (allowed: 5 %)"));
}

#[test]
fn two_tokens_are_too_few_to_know_the_noise() {
    let recipe = |slowed| Recipe { tokens: 15..17, slowed, ..Recipe::default() }.run();
    let compared = Folder::new("few").compare(&recipe(("", 1.0)), &recipe(("matvec", 1.5)), &[]);
    assert_eq!(compared.status, 1);
    assert!(compared.verdict().ends_with(", with too few tokens to know the noise"), "{}", compared.verdict());
    assert!(compared.page.contains("too few measurements to tell"), "{}", compared.page);
}
