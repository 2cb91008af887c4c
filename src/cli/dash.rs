//! `ffai dash`: continues a prompt in a dashboard. What `ffai chat --dash` needs too is here.

use super::device::{self, DeviceChoice};
use super::ending::Ending;
use super::generate::{Chosen, choose, load};
use super::generate_arguments::GenerateArguments;
use super::metrics::Logged;
use super::output::{Notes, Output};
use super::thinking::ThinkingView;
use super::{prompt, report, tracers, values};
use clap::Args;
use ffai::dashboard::{self, After, Feed, Handle, How, Left, LogLayer, Look, Mode, State, Update};
use ffai::generate::{
    Event, FinishReason, Generation, OpenOptions, Request, SamplingOptions, Session, sampling_defaults,
};
use ffai::measure::MemoryTree;
use ffai::observe::{self, Level};
use ffai::text::{Bos, EncodeOptions, Special};
use std::io::{self, IsTerminal as _};
use std::ops::ControlFlow;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What to generate from, how, and what to measure.
#[derive(Args, Debug)]
pub(crate) struct DashArguments {
    #[command(flatten)]
    generate: GenerateArguments,
    #[command(flatten)]
    profiling: ProfilingArguments,
}

/// How much is measured for a dashboard.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProfilingArguments {
    /// In a dashboard, take the times of all ops of one token in N
    #[arg(long, value_name = "N", default_value = "16", value_parser = values::tokens, allow_negative_numbers = true, help_heading = "Insight")]
    profile_every: usize,
}

/// What is known before a dashboard takes the terminal.
pub(crate) struct Prepared {
    filter: EnvFilter,
    every: usize,
    /// What the process took of the host's memory before anything was loaded.
    baseline: u64,
}

/// What is logged where nobody says what to log: all but what every step says.
const LOGGED: &str = "warn,ffai=debug,ffai::dispatch=warn";

impl ProfilingArguments {
    /// Refuses places where a dashboard cannot be, and gets ready. `filter` says what to log, where somebody said so.
    pub(crate) fn prepare(&self, filter: Option<EnvFilter>) -> Result<Prepared, Ending> {
        let hint = "`ffai generate` and `ffai chat` write to files and pipes, too";
        if !io::stdout().is_terminal() {
            let message = "the dashboard needs a terminal, and standard output is none".to_owned();
            return Err(Ending::failed(message, Some(hint.to_owned())));
        }
        if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
            let message = "the dashboard needs a terminal that can place its text, and TERM says that this one cannot";
            return Err(Ending::failed(message.to_owned(), Some(hint.to_owned())));
        }
        let filter = filter.unwrap_or_else(|| EnvFilter::new(LOGGED));
        Ok(Prepared { filter, every: self.profile_every, baseline: MemoryTree::resident_bytes().unwrap_or(0) })
    }
}

impl Prepared {
    /// A state to begin with.
    pub(crate) fn state(&self, chosen: &Chosen, mode: Mode) -> State {
        let name = chosen.path.file_name().unwrap_or(chosen.path.as_os_str());
        let mut state =
            State::new(&name.to_string_lossy(), mode, Look::from_environment(|name| std::env::var_os(name)));
        state.set_profiled_every(u32::try_from(self.every).unwrap_or(u32::MAX));
        state
    }

    /// Has logs and values over time go to the dashboard.
    pub(crate) fn feed(self, handle: &Handle) -> Feed {
        // A program that embeds this one may have its own subscriber already: it then gets the logs.
        let _ = tracing_subscriber::registry().with(LogLayer::new(handle).with_filter(self.filter)).try_init();
        observe::set_level(observe::level().max(Level::Spans));
        Feed::new(handle, self.every, self.baseline)
    }
}

/// The dashboard itself failed.
pub(crate) fn failed(error: &io::Error) -> Ending {
    Ending::failed(format!("the terminal cannot be used: {error}"), None)
}

pub(crate) fn run(arguments: DashArguments) -> Result<(), Ending> {
    let DashArguments { generate: arguments, profiling } = arguments;
    if arguments.engine.on.device == Some(DeviceChoice::List) {
        return device::list(&mut Output::plain());
    }
    let (model, prompt) = arguments.plain()?;
    if let Some(option) =
        [(arguments.json, "--json"), (arguments.no_stream, "--no-stream")].iter().find(|(given, _)| *given)
    {
        let message = format!("{} is about text that is printed, and a dashboard shows it as it comes", option.1);
        return Err(Ending::usage(message, Some("leave it out, or use `ffai generate`".to_owned())));
    }
    // What is wrong with the command line or the terminal shows before a model is looked for.
    arguments.sampling.options(&SamplingOptions::default())?;
    let (level, filter) = arguments.observing.begin_apart()?;
    let prepared = profiling.prepare(filter)?;
    let tracers = tracers::attach(&arguments.tracers, level)?;
    let logged = Logged::open()?;
    let options = arguments.engine.options()?;
    let prompt = prompt::read(prompt, arguments.prompt_file.as_deref())?;
    let chosen = choose(model, options.memory_budget, arguments.quiet)?;

    let state = prepared.state(&chosen, Mode::Generate);
    let (quiet, stats, observing) = (arguments.quiet, arguments.stats, arguments.observing.clone());
    let shown = prompt.clone();
    let work = Work { arguments, options, chosen, prompt, prepared, logged };
    let left = dashboard::run(state, move |handle| match work.run(handle) {
        Ok(generation) => After::Stay(Ok(generation)),
        Err(ending) => After::Leave(Err(ending)),
    });
    let Left { how, work, .. } = left.map_err(|error| failed(&error))?;
    let mut output = Output::new(false, quiet);
    if let Some(generation) = work.transpose()? {
        // The dashboard's screen is gone; what was made stays.
        output.prompt(&shown)?;
        ThinkingView::new(&output, false).all(&mut output, &generation)?;
        output.end_text()?;
        output.note("---")?;
        output.note(&report::summary(&generation.stats))?;
        if stats {
            output.note(&report::stats(&generation.stats))?;
        }
        observe::set_level(level);
        observing.phases(&mut output)?;
        if let Some(profile) = generation.profile.as_ref().filter(|_| observing.profiles()) {
            output.note(profile.to_string().trim_end())?;
        }
    }
    tracers.finish()?;
    if how == How::Interrupted { Err(Ending::Interrupted) } else { Ok(()) }
}

/// What the thread that owns the engine does.
struct Work {
    arguments: GenerateArguments,
    options: OpenOptions,
    chosen: Chosen,
    prompt: String,
    prepared: Prepared,
    logged: Option<Logged>,
}

impl Work {
    fn run(self, handle: &Handle) -> Result<Generation, Ending> {
        let Self { arguments, options, chosen, prompt, prepared, logged } = self;
        let mut logged = logged.map(|logged| logged.on(handle));
        let mut feed = prepared.feed(handle);
        let mut output = Output::on(handle, Notes::Apart);
        let checkpoint = chosen.announced(&mut output)?;
        let defaults = sampling_defaults(&checkpoint)?;
        let sampling = arguments.sampling.options(&defaults.options())?;
        output.note(&arguments.sampling.explained(&defaults))?;
        let warm = (!arguments.engine.on.no_prewarm).then_some(sampling);
        let (mut engine, tokenizer) = load(&checkpoint, &options, warm, &mut output)?;
        let ids = tokenizer.encode(&prompt, EncodeOptions { special: Special::Parse, bos: Bos::AsModel })?;
        let Some(mut session) = Session::new(&mut engine, &tokenizer) else {
            panic!("a fresh engine has no place for a sequence")
        };
        session.set_profiling(Some(feed.profiling()));
        let request = Request {
            prompt: ids,
            max_tokens: arguments.max_tokens,
            sampling,
            stop: arguments.sampling.stop,
            ignore_eos: arguments.ignore_eos,
        };
        handle.tell(Update::Text(prompt));
        let mut view = ThinkingView::new(&output, arguments.hide_thinking);
        feed.begin(session.engine());
        let mut written = Ok(());
        let generation = session.generate(&request, &mut |event| {
            let flow = feed.event(&event);
            if let Some(logged) = &mut logged {
                logged.hear(&event);
            }
            if let (Event::Segment(segment), Ok(())) = (event, &written) {
                written = view.show(&mut output, segment);
            }
            if written.is_err() { ControlFlow::Break(()) } else { flow }
        });
        if let Some(logged) = &mut logged {
            logged.write();
        }
        written?;
        let generation = generation?;
        feed.finished(session.engine(), &generation);
        if generation.finish_reason == FinishReason::Cancelled {
            handle.tell(Update::Status(format!("stopped after {} tokens", generation.ids.len())));
        }
        Ok(generation)
    }
}
