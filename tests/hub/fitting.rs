//! A model that does not fit the memory: the hub is asked what of it would.

use crate::gguf_writer::Tensor;
use crate::server::{Hub, Reply};
use crate::{command, damaged, fails, noise, printed, pull, run, scratch, settings, text};
use ffai::Error;
use ffai::generate::{Backend, OpenOptions, RehearsedModel, executor, open};
use ffai::weights::Checkpoint;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

const CONTEXT: u32 = 256;

/// The golden model, and the same with an embedding of halves, which stands for any quantization.
fn sizes() -> [Vec<u8>; 2] {
    let halves = |tensor: &mut Tensor| {
        tensor.number = 1;
        tensor.data = vec![0; tensor.dims.iter().product::<u64>() as usize * 2];
    };
    [damaged::model().finish(), damaged::model().change("token_embd.weight", halves).finish()]
}

/// A repository with both, and with what must not be named: what cannot be read, what is another model, what fits and is smaller.
fn repository() -> Hub {
    let [large, small] = sizes();
    let between = noise((large.len() + small.len()) / 2, 1);
    Hub::new(&[
        ("tiny-F32.gguf", &large),
        ("tiny-Q8_0.gguf", &small),
        ("tiny-Q4_K_M.gguf", &small[..small.len() / 2]),
        ("tiny-IQ2_XXS.gguf", &between),
        ("other-Q6_K.gguf", &between),
        ("mmproj-tiny-Q6_K.gguf", &between),
    ])
}

/// One byte less than the model in `file` takes.
fn too_little(file: &Path) -> u64 {
    let options = OpenOptions { backend: Backend::Cpu, ..OpenOptions::default() };
    let device = executor(&options).unwrap();
    let model = RehearsedModel::new(&Checkpoint::open(file).unwrap(), &*device, &options).unwrap();
    model.fit(CONTEXT).unwrap().needs.total() - 1
}

fn generate(hub: &Hub, home: &Path, model: &str, budget: u64, variables: &[(&str, &str)]) -> Output {
    let (context, budget) = (CONTEXT.to_string(), budget.to_string());
    let line = ["-m", model, "-p", "hi", "--backend", "cpu", "--max-tokens", "1", "--ctx", &context];
    let line = [&line[..], &["--memory-budget", &budget]].concat();
    command(hub, home, &line).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn the_largest_quantization_on_the_hub_that_fits_is_named_and_runs() {
    let hub = repository();
    let home = scratch("offered");
    let file = pull("org/repo:F32", &settings(&hub, &home)).unwrap();
    let budget = too_little(&file);
    for model in ["org/repo:F32", file.to_str().unwrap()] {
        hub.forget();
        let output = generate(&hub, &home, model, budget, &[]);
        let offer = "or fetch `ffai pull org/repo:Q8_0` (";
        fails(&output, 1, &["does not fit", "hint: use --ctx ", offer, "should fit with --ctx 256"]);
        assert_eq!(hub.log().len(), 1, "one question");
    }
    // What is named does run.
    let smaller = printed(&run(&hub, &home, &["pull", "org/repo:Q8_0"]));
    let output = generate(&hub, &home, "org/repo:Q8_0", budget, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // Once it is here it is named as a file, and nothing on the hub is better.
    let output = generate(&hub, &home, "org/repo:F32", budget, &[]);
    fails(&output, 1, &[&format!("or use -m {}, which fits with --ctx 256", smaller.display())]);
    assert!(!text(&output.stderr).contains("fetch"), "{}", text(&output.stderr));
}

#[test]
fn a_branch_that_is_not_the_main_one_is_named_too() {
    let hub = repository();
    let home = scratch("offered-branch");
    let file = pull("org/repo@v1:F32", &settings(&hub, &home)).unwrap();
    let output = generate(&hub, &home, "org/repo@v1:F32", too_little(&file), &[]);
    fails(&output, 1, &["fetch `ffai pull org/repo@v1:Q8_0`"]);
}

#[test]
fn without_an_answer_the_refusal_says_what_it_knows() {
    let hub = repository();
    let home = scratch("offered-not");
    let file = pull("org/repo:F32", &settings(&hub, &home)).unwrap();
    let budget = too_little(&file);
    let refused = |variables: &[(&str, &str)]| {
        hub.forget();
        let begun = Instant::now();
        let output = generate(&hub, &home, "org/repo:F32", budget, variables);
        fails(&output, 1, &["does not fit", "hint: use --ctx "]);
        let told = text(&output.stderr);
        assert!(!told.contains("fetch") && !told.contains("pull") && !told.contains("asking"), "{told}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        (hub.log().len(), told)
    };
    let (asked, offline) = refused(&[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(asked, 0);
    assert_eq!(refused(&[("HF_ENDPOINT", "http://127.0.0.1:1")]), (0, offline.clone()));
    hub.behave(|_| Some(Reply::new(503, b"busy")));
    assert_eq!(refused(&[]), (1, offline.clone()), "asked once");
    hub.behave(|_| Some(Reply::new(429, b"").header("Retry-After", "1")));
    assert_eq!(refused(&[]), (1, offline.clone()));
    hub.behave(|_| Some(Reply { drip: Some((1, Duration::from_secs(3600))), ..Reply::new(200, b"{}") }));
    assert_eq!(refused(&[]), (1, offline.clone()), "and not for long");
    hub.recover();
    // The repository has changed: what is here is not in it any more.
    hub.hold(&[("tiny-Q8_0.gguf", &sizes()[1])]);
    assert_eq!(refused(&[]), (1, offline));
}

#[test]
fn the_library_asks_nobody_unless_it_is_told_whom() {
    let hub = repository();
    let settings = settings(&hub, &scratch("offered-library"));
    let file = pull("org/repo:F32", &settings).unwrap();
    hub.forget();
    let options = OpenOptions {
        backend: Backend::Cpu,
        context: Some(CONTEXT),
        memory_budget: Some(too_little(&file)),
        ..OpenOptions::default()
    };
    let refused = |options: &OpenOptions| match open(&file, options, &mut |_, _| {}) {
        Err(Error::Misfit(misfit)) => misfit.offered,
        _ => panic!("it does not fit"),
    };
    assert_eq!(refused(&options), None);
    assert_eq!(hub.log().len(), 0);
    let offered = refused(&OpenOptions { hub: Some(settings), ..options }).unwrap();
    let expected = ("org/repo:Q8_0", sizes()[1].len() as u64, CONTEXT);
    assert_eq!((offered.name.as_str(), offered.bytes, offered.context), expected);
    // A model that lies elsewhere has no repository.
    let elsewhere = scratch("offered-elsewhere").join("tiny-F32.gguf");
    std::fs::copy(&file, &elsewhere).unwrap();
    hub.forget();
    let output = generate(&hub, elsewhere.parent().unwrap(), elsewhere.to_str().unwrap(), too_little(&file), &[]);
    fails(&output, 1, &["does not fit"]);
    assert_eq!(hub.log().len(), 0);
}
