//! Which rows are held against which.

use super::{bench_row, criterion, sidecar, sidecar_row};
use crate::profiles::{Folder, compare_files, tools};
use serde_json::{Value, json};

#[test]
fn rows_that_one_side_alone_has_are_named() {
    let folder = Folder::new("series-unmatched");
    let rows = |models: &[&str]| sidecar(models.iter().map(|model| sidecar_row(model, &[10.0, 10.0, 10.0])).collect());
    let compared = folder.compare(&rows(&["kept", "gone"]), &rows(&["new", "kept"]), &[]);
    assert_eq!(compared.status, 0);
    compared.says("gone simple 4bit at 4096");
    compared.says("new simple 4bit at 4096");
    let object = folder.object(&rows(&["kept", "gone"]), &rows(&["new", "kept"]), &[]);
    assert_eq!(object["only_before"], json!(["gone simple 4bit at 4096"]));
    assert_eq!(object["only_after"], json!(["new simple 4bit at 4096"]));
}

/// Model, method, quantization and context make a row, each by itself.
#[test]
fn rows_differ_by_model_method_quantization_and_context() {
    let folder = Folder::new("series-key");
    let base = sidecar_row("tiny", &[10.0, 10.0, 10.0]);
    for (key, value) in [
        ("model", json!("other")),
        ("method", json!("summarization")),
        ("quantization", json!("8bit")),
        ("quantization", Value::Null),
        ("contextSize", json!(8192)),
    ] {
        let mut other = base.clone();
        other[key] = value;
        let object = folder.object(&sidecar(vec![base.clone()]), &sidecar(vec![base.clone(), other]), &[]);
        assert_eq!(object["only_after"].as_array().unwrap().len(), 1, "{key}: {object}");
    }
}

#[test]
fn rows_that_were_repeated_are_further_runs() {
    let folder = Folder::new("series-repeated");
    let single = |rate: f64| {
        let mut row = sidecar_row("tiny", &[rate]);
        row.as_object_mut().unwrap().remove("spread");
        row
    };
    let side = |rates: [f64; 4]| sidecar(rates.map(single).into());
    let object = folder.object(&side([100.0, 101.0, 99.0, 100.0]), &side([80.0, 81.0, 79.0, 80.0]), &[]);
    assert_eq!(object["speeds"][0]["before_values"], 4);
    assert_eq!(object["speeds"][0]["finding"], "slower");
}

/// The same test under two conditions is two rows; the same conditions on both sides, whatever they are, are one.
#[test]
fn conditions_tell_rows_apart_only_within_a_file() {
    let folder = Folder::new("series-conditions");
    let row = |cache: &str| {
        let mut row = bench_row("tiny", &[10.0, 10.1, 9.9]);
        row["type_k"] = json!(cache);
        row
    };
    let object = folder.object(&json!([row("f16"), row("f32")]), &json!([row("f16"), row("f32")]), &[]);
    let names: Vec<&str> =
        object["speeds"].as_array().unwrap().iter().map(|row| row["row"].as_str().unwrap()).collect();
    assert_eq!(names, ["tiny tg128 @ d4096, type_k f16", "tiny tg128 @ d4096, type_k f32"]);
    // How many sequences decode at once is another test, whatever else there is.
    let mut wide = row("f16");
    wide["n_sequences"] = json!(4);
    assert_eq!(
        folder.object(&json!([row("f16")]), &json!([row("f16"), wide]), &[])["only_after"],
        json!(["tiny tg128 × 4 @ d4096"])
    );
    let compared = folder.compare(&json!([row("f16")]), &json!([row("f32")]), &[]);
    compared.says("warning: type_k: f16, then f32");
}

#[test]
fn a_baseline_of_criterion_is_named_behind_its_folder() {
    let folder = Folder::new("series-baseline");
    for (baseline, time) in [("main", 100.0), ("new", 200.0)] {
        for id in ["softmax", "matvec"] {
            criterion(
                &folder,
                &format!("benches/kernels/{id}/{baseline}"),
                id,
                &[time, time * 1.001, time * 0.999, time],
            );
        }
    }
    let (all, main) = (folder.path("benches"), folder.path("benches/main"));
    let compared = compare_files(&main, &all, &[]);
    assert_eq!(compared.status, 1);
    assert!(compared.page.contains("100.00 ns → 200.00 ns  +100.0 %"), "{}", compared.page);
    assert_eq!(compare_files(&all, &all, &[]).verdict(), "same");
    // One benchmark alone, too.
    let single = folder.path("benches/kernels/softmax");
    assert!(compare_files(&single, &all, &[]).page.contains("only in"));
    assert_eq!(compare_files(&format!("{single}/main"), &format!("{single}/new"), &[]).status, 1);
    let output = tools(&["compare", &folder.path("benches/absent"), &all]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("a baseline `absent`, found none"));
}

/// Samples of one run lie close together and runs lie apart: of single runs that is a change, of several it is not.
#[test]
fn several_runs_of_criterion_tell_what_runs_differ_by() {
    let folder = Folder::new("series-runs");
    let run = |name: &str, time: f64| {
        let samples: Vec<f64> = (0..10).map(|sample| time * (1.0 + 0.001 * f64::from(sample % 3))).collect();
        criterion(&folder, &format!("benches/softmax/{name}"), "softmax", &samples);
    };
    for (index, time) in [100.0, 112.0, 95.0, 108.0, 99.0].into_iter().enumerate() {
        run(&format!("before{index}"), time);
        run(&format!("after{index}"), 203.0 - time);
        run(&format!("slow{index}"), time * 2.0);
    }
    run("new", 100.0);
    let all = |name: &str| folder.path(&format!("benches/{name}"));
    assert_eq!(compare_files(&all("before0"), &all("before1"), &[]).status, 1);
    assert_eq!(compare_files(&all("before*"), &all("after*"), &[]).verdict(), "can't tell");
    assert_eq!(compare_files(&all("before*"), &all("slow*"), &[]).status, 1);
}

/// Where criterion kept no samples, its mean with its error stands for them.
#[test]
fn estimates_stand_for_samples_that_were_not_kept() {
    let folder = Folder::new("series-estimates");
    let write = |name: &str, mean: f64, error: f64| {
        let about = json!({ "full_id": "softmax" });
        folder.write(&format!("{name}/softmax/new/benchmark.json"), about.to_string());
        let estimates = json!({ "mean": { "point_estimate": mean, "standard_error": error } });
        folder.write(&format!("{name}/softmax/new/estimates.json"), estimates.to_string());
        folder.path(name)
    };
    let (before, near, far) = (write("before", 100.0, 1.0), write("near", 101.0, 1.0), write("far", 110.0, 1.0));
    assert!(compare_files(&before, &far, &[]).page.contains("  slower"));
    assert_eq!(compare_files(&before, &near, &[]).verdict(), "can't tell");
}

#[test]
fn a_name_without_its_folders_is_the_model() {
    let folder = Folder::new("series-folders");
    let side = |model: &str| {
        let mut row = bench_row("", &[10.0, 10.0, 10.0]);
        row["model_filename"] = json!(model);
        json!([row])
    };
    assert_eq!(folder.compare(&side("/here/tiny.gguf"), &side("tiny.gguf"), &[]).verdict(), "same");
}
