//! Two builds against each other, on machines whose speed drifts: in turn, pair by pair, so that what changes slowly meets both.
//!
//! Of each pair the one that began the last begins second (A B, B A, A B, …), and only the ratio within a pair counts.

use super::Arguments;
use crate::common;
use crate::compare::noise::{self, Interval};
use crate::failure::Failure;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Fewer pairs have no bounds.
const FEWEST: u32 = 3;
/// Probability with which any of all tests is to be called changed where none is.
const ERROR: f64 = 0.03;

/// Fields that tell tests apart.
const IDENTITY: &[&str] = &["model_filename", "type_k", "variant", "n_prompt", "n_gen", "n_depth", "n_sequences"];

/// What can be said of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Slower,
    Faster,
    Same,
    Unclear,
}

/// A test with the times of both builds, pair by pair.
#[derive(Debug, Default)]
struct Pairs {
    name: String,
    /// Nanoseconds of the other build and of this one.
    times: Vec<[f64; 2]>,
}

/// A row of one run.
struct Timed {
    key: String,
    name: String,
    ns: f64,
}

/// Runs both builds and prints what was found; fails with status 1 where this one is slower.
pub(super) fn run(arguments: &Arguments, other: &Path) -> Result<(), Failure> {
    if arguments.repetitions < FEWEST {
        let message = format!("-r: expected at least {FEWEST} pairs of runs, found {}", arguments.repetitions);
        return Err(Failure::usage(message));
    }
    let own = std::env::current_exe().map_err(|error| Failure::failed(format!("cannot find this program: {error}")))?;
    let builds = [other, &own];
    let mut tests: BTreeMap<String, Pairs> = BTreeMap::new();
    let mut order = Vec::new();
    for pair in 0..arguments.repetitions {
        let mut found: [Vec<Timed>; 2] = [Vec::new(), Vec::new()];
        for build in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
            found[build] = timed(builds[build], arguments)?;
        }
        let [before, after] = found;
        for (before, after) in before.into_iter().zip(after) {
            if before.key != after.key {
                let message = format!("{}: expected the test {}, found {}", other.display(), after.name, before.name);
                return Err(Failure::failed(message).with_hint("give a build that knows the same options".to_owned()));
            }
            if !tests.contains_key(&after.key) {
                order.push(after.key.clone());
            }
            let pairs = tests.entry(after.key).or_default();
            pairs.name = after.name;
            pairs.times.push([before.ns, after.ns]);
        }
    }
    let tests: Vec<Pairs> = order.iter().filter_map(|key| tests.remove(key)).collect();
    let confidence = 1.0 - ERROR / tests.len().max(1) as f64;
    let verdicts: Vec<(Option<Interval>, Verdict)> =
        tests.iter().map(|test| verdict(&test.times, confidence, arguments.noise)).collect();
    common::print(page(&tests, &verdicts, [&other.display().to_string(), &own.display().to_string()]))?;
    match verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Slower) {
        true => Err(Failure::found(1)),
        false => Ok(()),
    }
}

/// One run of a build: its rows.
fn timed(build: &Path, arguments: &Arguments) -> Result<Vec<Timed>, Failure> {
    let failed = |what: String| Failure::failed(format!("{}: {what}", build.display()));
    let output = Command::new(build).args(command_line(arguments)).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(format!("cannot be run: {error}")))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, text.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Timed> = text.lines().filter_map(read).collect();
    if rows.is_empty() || rows.len() != text.lines().count() {
        let line = text.lines().find(|line| read(line).is_none()).unwrap_or("nothing");
        return Err(failed(format!(
            "expected rows of `bench -o jsonl`, found: {}",
            line.chars().take(80).collect::<String>()
        )));
    }
    Ok(rows)
}

fn read(line: &str) -> Option<Timed> {
    let row: Value = serde_json::from_str(line).ok()?;
    let ns = row.get("avg_ns")?.as_f64().filter(|&ns| ns > 0.0)?;
    // What a build does not know was not asked of it.
    let key: Vec<String> = IDENTITY.iter().map(|field| row.get(*field).unwrap_or(&Value::Null).to_string()).collect();
    let number = |field: &str| row.get(field).and_then(Value::as_u64).unwrap_or(0) as u32;
    let test = super::Test {
        prompt: number("n_prompt"),
        generated: number("n_gen"),
        depth: number("n_depth"),
        width: number("n_sequences"),
    };
    let words =
        ["model_type", "type_k", "variant"].map(|field| row.get(field).and_then(Value::as_str).unwrap_or_default());
    let named: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Some(Timed { key: key.join(" "), name: format!("{} {}", named.join(" "), test.name()), ns })
}

/// The same run, once, with rows for programs.
fn command_line(arguments: &Arguments) -> Vec<OsString> {
    let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let mut line: Vec<String> = vec!["bench".to_owned()];
    let mut option = |name: &str, value: String| line.extend([name.to_owned(), value]);
    option("-m", arguments.models.join(","));
    option("-p", list(&arguments.n_prompt));
    option("-n", list(&arguments.n_gen));
    option("-d", list(&arguments.n_depth));
    option("-b", list(&arguments.batch));
    option("--ctk", arguments.cache_types.iter().map(|kv| kv.name()).collect::<Vec<_>>().join(","));
    arguments.pg.iter().for_each(|(prompt, generated)| option("--pg", format!("{prompt},{generated}")));
    arguments.variants.iter().for_each(|variants| option("--variant", variants.to_string()));
    option("--ubatch", arguments.chunk.to_string());
    option("--backend", arguments.backend.name().to_owned());
    option("-r", "1".to_owned());
    option("-o", "jsonl".to_owned());
    if arguments.no_warmup {
        line.push("--no-warmup".to_owned());
    }
    line.into_iter().map(OsString::from).collect()
}

/// The ratio of this build's time to the other's, as a logarithm, and what it allows to be said.
fn verdict(times: &[[f64; 2]], confidence: f64, noise_percent: f64) -> (Option<Interval>, Verdict) {
    let ratio = noise::of_pairs(times.iter().map(|[before, after]| (after / before).ln()).collect(), confidence);
    let floor = (noise_percent / 100.0).ln_1p();
    let verdict = match ratio {
        Some(ratio) if ratio.low > floor => Verdict::Slower,
        Some(ratio) if ratio.high < -floor => Verdict::Faster,
        Some(ratio) if ratio.low >= -floor && ratio.high <= floor => Verdict::Same,
        _ => Verdict::Unclear,
    };
    (ratio, verdict)
}

fn page(tests: &[Pairs], verdicts: &[(Option<Interval>, Verdict)], [other, own]: [&str; 2]) -> String {
    let width = tests.iter().map(|test| test.name.chars().count()).max().unwrap_or(0);
    let mut page = format!("against: {other}\n   this: {own}\ntime of this build by that of the other, in pairs:\n");
    for (test, (ratio, verdict)) in tests.iter().zip(verdicts) {
        let bounds = ratio.map_or_else(String::new, |ratio| {
            let [centre, low, high] = [ratio.centre, ratio.low, ratio.high].map(f64::exp);
            format!("{centre:.3} [{low:.3} … {high:.3}]  ")
        });
        page += &format!("{:>width$}  {bounds}{}\n", test.name, verdict.name());
    }
    page
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Same => "same",
            Self::Unclear => "can't tell",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffai::graph::Rng;

    /// Pairs on a machine that slows down by half while they run, with 2 % of noise, and this build `factor` times as slow.
    fn drifting(factor: f64, seed: u64) -> Vec<[f64; 2]> {
        let mut rng = Rng(seed);
        (0..10)
            .map(|pair| {
                let drift = 1e9 * (1.0 + 0.05 * f64::from(pair));
                let mut time = |factor: f64| drift * factor * (0.02 * f64::from(rng.normal())).exp();
                [time(1.0), time(factor)]
            })
            .collect()
    }

    fn found(factor: f64) -> Vec<Verdict> {
        (0..100).map(|seed| verdict(&drifting(factor, seed), 1.0 - ERROR, 2.0).1).collect()
    }

    #[test]
    fn ten_percent_are_found_in_nine_of_ten_and_nothing_where_there_is_none() {
        let count = |verdicts: &[Verdict], wanted| verdicts.iter().filter(|&&verdict| verdict == wanted).count();
        assert!(count(&found(1.1), Verdict::Slower) >= 90);
        assert!(count(&found(1.0 / 1.1), Verdict::Faster) >= 90);
        let none = found(1.0);
        assert!(count(&none, Verdict::Slower) + count(&none, Verdict::Faster) <= 10);
    }

    #[test]
    fn equal_times_are_the_same() {
        assert_eq!(verdict(&[[5.0, 5.0]; 3], 0.97, 2.0).1, Verdict::Same);
        assert_eq!(verdict(&[[5.0, 6.0]; 2], 0.97, 2.0).1, Verdict::Unclear, "two pairs say nothing");
    }
}
