//! `ffai doctor`: finds what is wrong, chooses what is faster, keeps what it chose.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::doctor::{self, Options, Report};
use ffai::graph::Choices;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Output};

fn examine(options: &Options) -> Report {
    doctor::examine(options, &mut |_| {}).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("doctor-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn ffai(cache: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffai"));
    // The cache folder is under HOME on a Mac, under XDG_CACHE_HOME elsewhere.
    command.args(arguments).env("XDG_CACHE_HOME", cache).env("HOME", cache).output().unwrap()
}

#[test]
fn a_sound_device_is_called_sound() {
    let report = examine(&Options::default());
    assert!(report.sound, "{:#?}", report.findings);
    let kernels: Vec<&str> = report.parity.iter().map(|parity| parity.kernel).collect();
    for kernel in ffai::kernels::CATALOGUE {
        assert!(kernels.contains(&kernel.name), "{} was not examined", kernel.name);
    }
    assert!(report.parity.iter().all(|parity| parity.cases > 0 && parity.largest_nmse <= parity.tolerance));
    assert!(!report.device.adapter.is_empty() && report.device.subgroup >= 4);
    let units: BTreeMap<&str, &str> = report.ceilings.iter().map(|ceiling| (ceiling.what, ceiling.unit)).collect();
    for (what, unit) in [
        ("streaming read", "GB/s"),
        ("copy", "GB/s"),
        ("f32 multiply-adds", "GFLOP/s"),
        ("empty dispatch", "µs"),
        ("readback of 4 bytes", "µs"),
    ] {
        assert_eq!(units.get(what), Some(&unit));
    }
    for ceiling in &report.ceilings {
        assert!(ceiling.best > 0.0 && ceiling.runs > 1, "{ceiling:?}");
        let (low, high) =
            if ceiling.unit == "µs" { (ceiling.best, ceiling.worst) } else { (ceiling.worst, ceiling.best) };
        assert!(low <= ceiling.median && ceiling.median <= high, "{ceiling:?}");
    }
}

#[test]
fn a_broken_variant_is_found_and_named() {
    let planted: fn(&str, String) -> String = |kernel, text| match kernel {
        "matmul_tiled" => text.replace("acc[3] = fma(", "acc[2] = fma("),
        _ => text,
    };
    let report = examine(&Options { planted: Some(planted), ..Options::default() });
    assert!(!report.sound);
    let wrong: Vec<&str> =
        report.parity.iter().filter(|parity| parity.failure.is_some()).map(|parity| parity.kernel).collect();
    assert_eq!(wrong, ["matmul_tiled"]);
    assert!(report.findings.iter().any(|finding| finding.contains("`matmul_tiled`")), "{:?}", report.findings);
}

#[test]
fn a_variant_that_does_not_compile_is_found_and_the_others_are_examined() {
    let planted: fn(&str, String) -> String = |kernel, text| match kernel {
        "gather_rows" => text.replace("fn main(", "fn main(("),
        _ => text,
    };
    let report = examine(&Options { planted: Some(planted), ..Options::default() });
    let wrong: Vec<&str> =
        report.parity.iter().filter(|parity| parity.failure.is_some()).map(|parity| parity.kernel).collect();
    assert_eq!(wrong, ["gather_rows"]);
}

/// Makes one of the two products slower than the other by far, each in turn.
#[test]
fn tuning_takes_the_faster_of_two() {
    fn slow(text: String, every: &str) -> String {
        // The same work twelve times over: the result stays, the time does not.
        let again = "for (var again = 0u; again < 12u; again++) {\n";
        let at = text.find(every).unwrap_or_else(|| panic!("no `{every}`"));
        let open = text[at..].find("{\n").unwrap() + at;
        let mut depth = 0;
        let end = text[open..].char_indices().find_map(|(index, c)| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            (depth == 0).then_some(open + index + 1)
        });
        let end = end.unwrap();
        format!("{}{again}{}\n}}\n{}", &text[..at], &text[at..end], &text[end..])
    }
    let registers: fn(&str, String) -> String = |kernel, text| match kernel {
        "matmul" => slow(text, "for (var block = 0u; block < BLOCKS; block++)"),
        _ => text,
    };
    let shared: fn(&str, String) -> String = |kernel, text| match kernel {
        "matmul_tiled" => slow(text, "for (var block = 0u; block < BLOCKS; block++)"),
        _ => text,
    };
    for (planted, want) in [(registers, "shared"), (shared, "registers")] {
        let report = examine(&Options { planted: Some(planted), tune: true, ..Options::default() });
        let chosen: Vec<_> = report.choices.iter().filter(|(key, _)| key.starts_with("matmul ")).collect();
        assert!(!chosen.is_empty(), "{:#?}", report.timings);
        for (key, variant) in chosen {
            assert_eq!(variant, want, "{key}");
        }
        for timing in report.timings.iter().filter(|timing| timing.wins) {
            assert!(timing.op != "matmul" || timing.variant.starts_with(want), "{timing:?}");
        }
    }
}

#[test]
fn choices_are_kept_beside_those_of_other_devices() {
    let file = folder("kept").join("deeper").join("tuning.json");
    assert_eq!(doctor::tuned(&file).unwrap(), BTreeMap::new());
    let mut one = Choices::default();
    one.set("matmul", Some("q4_0"), "shared");
    doctor::save(&file, "one", &one).unwrap();
    doctor::save(&file, "two", &Choices::default()).unwrap();
    let read = doctor::tuned(&file).unwrap();
    assert_eq!(read, BTreeMap::from([("one".to_owned(), one), ("two".to_owned(), Choices::default())]));
}

#[test]
fn a_file_of_choices_that_is_none_is_refused_by_every_command_that_reads_it() {
    let cache = folder("damaged");
    let place = if cfg!(target_os = "macos") { "Library/Caches/ffai" } else { "ffai" };
    std::fs::create_dir_all(cache.join(place)).unwrap();
    let file = cache.join(place).join("tuning.json");
    let long = format!("{{\"version\":1,\"devices\":{{\"{}\":{{}}}}}}", "x".repeat(2 << 20));
    for (content, found) in [
        ("", "EOF"),
        ("[1]", "expected an object of `version` and `devices`"),
        ("{\"version\":2,\"devices\":{}}", "version 2"),
        (
            "{\"version\":1,\"devices\":{\"d\":{\"matmul q4_0\":\"fast\"}}}",
            "expected a variant of `matmul q4_0`, found `fast`",
        ),
        ("{\"version\":1,\"devices\":{\"d\":{\"\\u001b[2J\":\"wgsl\"}}}", "\\u{1b}"),
        (long.as_str(), "more than 1048576 bytes"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = ffai(&cache, &["inspect", "nothing.gguf"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("tuning.json") && text.contains(found), "{found}: {text}");
        assert!(text.contains("hint: delete") && !text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn the_command_prints_a_report_and_keeps_what_it_measured() {
    let cache = folder("command");
    let output = ffai(&cache, &["doctor", "--tune", "--json"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["sound"], true);
    assert!(report["device"]["adapter"].is_string() && report["ceilings"].as_array().unwrap().len() >= 5);
    let timings = report["timings"].as_array().unwrap();
    let ops: BTreeSet<&str> = timings.iter().map(|timing| timing["op"].as_str().unwrap()).collect();
    assert_eq!(
        ops,
        BTreeSet::from(["attention, decoding", "attention, prompt", "matmul", "matvec", "norm", "sampling"])
    );
    assert!(timings.iter().all(|timing| timing["median_us"].as_f64().unwrap() > 0.0));
    let place = if cfg!(target_os = "macos") { "Library/Caches/ffai" } else { "ffai" };
    let kept = doctor::tuned(&cache.join(place).join("tuning.json")).unwrap();
    assert_eq!(kept.len(), 1);
    let chosen: BTreeMap<String, String> = serde_json::from_value(report["choices"].clone()).unwrap();
    let (_, kept) = kept.into_iter().next().unwrap();
    let kept: BTreeMap<String, String> = kept.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    assert_eq!(kept, chosen);
}

#[test]
fn what_there_is_not_is_an_error_with_a_way_out() {
    let cache = folder("errors");
    let output = ffai(&cache, &["doctor", "--device", "no such card"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("no GPU adapter matches `no such card`") && text.contains("hint:"), "{text}");
    if !cfg!(target_os = "macos") {
        let output = ffai(&cache, &["doctor", "--kernels", "msl"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains("has no Metal") && text.contains("hint:"), "{text}");
    }
}
