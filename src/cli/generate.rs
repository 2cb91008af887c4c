//! `ffai generate`: continues a prompt.

use super::device::{self, DeviceChoice};
use super::ending::Ending;
use super::generate_arguments::GenerateArguments;
use super::interrupt;
use super::metrics::Logged;
use super::output::Output;
use super::thinking::ThinkingView;
use super::{fetching, prompt, report, tracers};
use ffai::generate::{
    AUTO_CONTEXT, Engine, Event, FinishReason, Generation, OpenOptions, Profiling, Request, SamplingOptions, Session,
    open_checkpoint, sampling_defaults,
};
use ffai::measure::{MemoryTree, Peaks};
use ffai::text::{Bos, EncodeOptions, Special, Tokenizer};
use ffai::weights::{self, Checkpoint};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

/// Of so many tokens one is profiled for logs and dashboards.
pub(super) const LOGGED: usize = 16;

pub(crate) fn run(arguments: GenerateArguments) -> Result<(), Ending> {
    if arguments.engine.on.device == Some(DeviceChoice::List) {
        return device::list(&mut Output::plain());
    }
    let (model, prompt) = arguments.plain()?;
    // What is wrong with the command line shows before a model is looked for.
    arguments.sampling.options(&SamplingOptions::default())?;
    let tracers = tracers::attach(&arguments.tracers, arguments.observing.begin()?)?;
    let baseline = MemoryTree::resident_bytes().unwrap_or(0);
    let mut logged = Logged::open()?;
    let options = arguments.engine.options()?;
    let model = choose(model, options.memory_budget, arguments.quiet)?;
    let prompt = prompt::read(prompt, arguments.prompt_file.as_deref())?;
    let mut output = Output::new(arguments.json, arguments.quiet);
    interrupt::watch();

    let checkpoint = model.announced(&mut output)?;
    let defaults = sampling_defaults(&checkpoint)?;
    let sampling = arguments.sampling.options(&defaults.options())?;
    let warm = (!arguments.engine.on.no_prewarm).then_some(sampling);
    let (mut engine, tokenizer) = load(&checkpoint, &options, warm, &mut output)?;
    let ids = tokenizer.encode(&prompt, EncodeOptions { special: Special::Parse, bos: Bos::AsModel })?;
    let context = engine.context() as usize;
    if ids.len() >= context {
        return Err(ffai::Error::PromptTooLong { found: ids.len(), context }.into());
    }
    if arguments.verbose && !arguments.quiet {
        output.note(&arguments.sampling.explained(&defaults))?;
        explain(&mut engine, &tokenizer, &ids, sampling, &mut output)?;
    }
    let request = Request {
        prompt: ids,
        max_tokens: arguments.max_tokens,
        sampling,
        stop: arguments.sampling.stop.clone(),
        ignore_eos: arguments.ignore_eos,
    };
    let profiles = arguments.observing.profiles();
    let generation = if arguments.json {
        let mut generation = generate(&mut engine, &tokenizer, &request, (profiles, logged.as_mut()), None)?;
        complete(&mut engine, &mut generation, baseline)?;
        let model = model.path.display().to_string();
        output.text(&report::json(&model, &engine.device(), &request.prompt, &generation))?;
        generation
    } else {
        output.note("---")?;
        output.prompt(&prompt)?;
        let mut view = ThinkingView::new(&output, arguments.hide_thinking);
        let streamed = (!arguments.no_stream).then_some((&mut output, &mut view));
        let mut generation = generate(&mut engine, &tokenizer, &request, (profiles, logged.as_mut()), streamed)?;
        if arguments.no_stream {
            view.all(&mut output, &generation)?;
        }
        output.end_text()?;
        output.note("---")?;
        complete(&mut engine, &mut generation, baseline)?;
        generation
    };
    let interrupted = generation.finish_reason == FinishReason::Cancelled;
    output.note(&report::summary(&generation.stats))?;
    if arguments.stats || (interrupted && !arguments.json) {
        output.note(&report::stats(&generation.stats))?;
    }
    arguments.observing.phases(&mut output)?;
    if let Some(profile) = generation.profile.as_ref().filter(|_| !arguments.json) {
        output.note(profile.to_string().trim_end())?;
    }
    tracers.finish()?;
    if interrupted { Err(Ending::Interrupted) } else { Ok(()) }
}

/// The model to run, and how it came to be chosen where the user did not name it here.
pub(super) struct Chosen {
    pub(super) path: PathBuf,
    why: &'static str,
}

impl Chosen {
    /// Says what is loaded, and reads what describes it.
    pub(super) fn announced(&self, output: &mut Output) -> Result<Checkpoint, Ending> {
        let version = env!("CARGO_PKG_VERSION");
        output.note(&format!("ffai {version} — loading {}…{}", self.path.display(), self.why))?;
        Ok(Checkpoint::open(&self.path)?)
    }
}

pub(super) fn choose(named: Option<String>, memory: Option<u64>, quiet: bool) -> Result<Chosen, Ending> {
    let locate = |model: &str| fetching::locate(model, memory, quiet);
    if let Some(model) = named {
        let path = locate(&model).map_err(|error| match error {
            weights::Error::NotFound { .. } if model.contains(char::is_whitespace) => Ending::failed(
                error.to_string(),
                Some("a single plain argument is the model: give a prompt alone with --prompt".to_owned()),
            ),
            error => error.into(),
        })?;
        return Ok(Chosen { path, why: "" });
    }
    if let Some(model) = std::env::var_os("FFAI_MODEL").filter(|model| !model.is_empty()) {
        return Ok(Chosen { path: locate(&model.to_string_lossy())?, why: " (FFAI_MODEL)" });
    }
    if let Some(path) = weights::default_model_here() {
        return Ok(Chosen { path, why: " (the default model)" });
    }
    let path = weights::default_model().unwrap_or_default();
    let message = format!("no model was named, and the default one is not at {}", path.display());
    let hint = format!(
        "give one with --model; `ffai models` lists what is on this disk, and `ffai pull {}` or tools/quickstart.sh fetches \
         the default one",
        weights::DEFAULT_HUB_MODEL
    );
    Err(Ending::failed(message, Some(hint)))
}

/// Opens the model; compiles what runs with `prewarm` need, so that the first token does not wait for compilers.
pub(super) fn load(
    checkpoint: &Checkpoint,
    options: &OpenOptions,
    prewarm: Option<SamplingOptions>,
    output: &mut Output,
) -> Result<(Engine, Tokenizer), Ending> {
    let started = Instant::now();
    let bar = output.progress();
    let opened = open_checkpoint(checkpoint, options, &mut |done, total| bar.at(done, total));
    bar.end();
    let (mut engine, tokenizer) = opened?;
    if let Some(sampling) = prewarm {
        engine.prewarm(sampling.parts())?;
    }
    let (context, own) = (engine.context(), engine.model().config().context.min(AUTO_CONTEXT));
    if options.context.is_none() && context < own {
        output.note(&format!("context: {context} tokens; {own} do not fit the memory budget"))?;
    }
    output.aside(&report::device(&engine.device()));
    output.note(&format!("loaded in {:.2}s", started.elapsed().as_secs_f64()))?;
    Ok((engine, tokenizer))
}

/// What `--verbose` shows: the ids of the prompt, and what the model would say next.
fn explain(
    engine: &mut Engine,
    tokenizer: &Tokenizer,
    ids: &[u32],
    sampling: SamplingOptions,
    output: &mut Output,
) -> Result<(), Ending> {
    output.note(&format!("seed: {}", sampling.seed))?;
    output.note(&format!("prompt ids: {ids:?}"))?;
    // In a sequence of its own, so that the run to come is the one that would be without looking.
    let (Some(sequence), Some(last)) = (engine.open(), ids.len().checked_sub(1)) else { return Ok(()) };
    let logits = engine.logits(sequence, ids, &[last])?;
    engine.close(sequence);
    output.note(&report::next_tokens(tokenizer, &logits[0]))
}

/// What a profile says of the device besides the times: what it can do at best, and where its memory is.
fn complete(engine: &mut Engine, generation: &mut Generation, baseline: u64) -> Result<(), Ending> {
    let Some(profile) = &mut generation.profile else { return Ok(()) };
    let mut tree = MemoryTree::new(baseline);
    tree.sample(&engine.memory_sample(&engine.memory_parts(), generation.stats.kv_cache_used_bytes));
    profile.memory = tree.usage();
    profile.set_peaks(Peaks::new(engine.ceilings()?));
    Ok(())
}

/// Runs the request; text is written as it is made.
fn generate(
    engine: &mut Engine,
    tokenizer: &Tokenizer,
    request: &Request,
    (profiles, mut logged): (bool, Option<&mut Logged>),
    mut to: Option<(&mut Output, &mut ThinkingView)>,
) -> Result<Generation, Ending> {
    let Some(mut session) = Session::new(engine, tokenizer) else {
        panic!("a fresh engine has no place for a sequence")
    };
    session.set_profiling(profiling(profiles, logged.is_some()));
    let mut written = Ok(());
    interrupt::hold();
    let generation = session.generate(request, &mut |event| {
        if let Some(logged) = &mut logged {
            logged.hear(&event);
        }
        if let (Event::Segment(segment), Some((output, view)), Ok(())) = (event, &mut to, &written) {
            written = view.show(output, segment);
        }
        if written.is_err() || interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(logged) = logged {
        logged.write();
    }
    written.and(Ok(generation?))
}

/// Which tokens are profiled: most where it is asked for, few where rows are logged.
pub(super) fn profiling(profiles: bool, logged: bool) -> Option<Profiling> {
    match (profiles, logged) {
        (true, _) => Some(Profiling::most()),
        (false, true) => Some(Profiling::one_in(LOGGED)),
        (false, false) => None,
    }
}
