//! `ffai chat`: a conversation, turn after turn on one session.

mod arguments;
mod commands;
mod conversation;
#[cfg(feature = "dashboard")]
mod dash;
mod lines;
mod talk;

pub(crate) use arguments::ChatArguments;

use super::device::{self, DeviceChoice};
use super::ending::Ending;
use super::generate::{Chosen, choose, load, profiling};
use super::metrics::Logged;
use super::output::Output;
use super::{interrupt, report, tracers};
use conversation::Conversation;
use ffai::generate::{Engine, OpenOptions, Profiling, SamplingOptions, Session, sampling_defaults};
use ffai::measure::GenerationStats;
use ffai::text::{ChatTemplate, Tokenizer};
use lines::Lines;
use talk::{Model, Next};

/// What stays the same while models come and go.
struct Chat {
    arguments: ChatArguments,
    sampling: SamplingOptions,
    options: OpenOptions,
    output: Output,
    lines: Lines,
    conversation: Conversation,
    /// Statistics of the last reply.
    last: Option<GenerationStats>,
    logged: Option<Logged>,
    /// What a dashboard is told through.
    #[cfg(feature = "dashboard")]
    feed: Option<ffai::dashboard::Feed>,
}

pub(crate) fn run(arguments: ChatArguments) -> Result<(), Ending> {
    if arguments.engine.on.device == Some(DeviceChoice::List) {
        return device::list(&mut Output::plain());
    }
    // Options that no model could make right are told before one is looked for.
    let sampling = arguments.sampling.options(&SamplingOptions::default())?;
    #[cfg(feature = "dashboard")]
    if arguments.dash {
        let (level, filter) = arguments.observing.begin_apart()?;
        let prepared = arguments.profiling.prepare(filter)?;
        let tracers = tracers::attach(&arguments.tracers, level)?;
        let (options, system, logged) = (arguments.engine.options()?, arguments.system()?, Logged::open()?);
        let chosen = choose(arguments.model(), options.memory_budget, arguments.quiet)?;
        dash::run(dash::Begin { arguments, sampling, options, system, chosen, logged }, prepared)?;
        return tracers.finish();
    }
    let tracers = tracers::attach(&arguments.tracers, arguments.observing.begin()?)?;
    let logged = Logged::open()?;
    let options = arguments.engine.options()?;
    let system = arguments.system()?;
    let chosen = choose(arguments.model(), options.memory_budget, arguments.quiet)?;
    let output = Output::new(false, arguments.quiet);
    let lines = Lines::open(!arguments.no_history)?;
    interrupt::watch();
    let conversation = Conversation { system, ..Conversation::default() };
    let mut chat = Chat {
        arguments,
        sampling,
        options,
        output,
        lines,
        conversation,
        last: None,
        logged,
        #[cfg(feature = "dashboard")]
        feed: None,
    };
    chat.run(chosen)?;
    tracers.finish()
}

/// Why there is no more talking to a model.
enum Failed {
    /// It could not be opened.
    Opening(Ending),
    Talking(Ending),
}

impl Chat {
    /// Talks to one model after the other.
    fn run(&mut self, mut chosen: Chosen) -> Result<(), Ending> {
        let mut before: Option<Chosen> = None;
        loop {
            match self.talk_to(&chosen) {
                Ok(Next::Quit) => return Ok(()),
                Ok(Next::Model(next)) => before = Some(std::mem::replace(&mut chosen, next)),
                // The model that was there before can be had again.
                Err(Failed::Opening(ending)) => match before.take().filter(|_| self.lines.interactive()) {
                    Some(earlier) => {
                        self.explain(&ending)?;
                        chosen = earlier;
                    }
                    None => return Err(ending),
                },
                Err(Failed::Talking(ending)) => return Err(ending),
            }
        }
    }

    /// Tells a person what went wrong.
    fn explain(&mut self, ending: &Ending) -> Result<(), Ending> {
        if !self.lines.on_dashboard() {
            ending.explain(&mut std::io::stderr());
            return Ok(());
        }
        let mut text = Vec::new();
        ending.explain(&mut text);
        self.output.text(&String::from_utf8_lossy(&text))
    }

    /// Opens a model and talks to it until there is to be no more, or another.
    fn talk_to(&mut self, chosen: &Chosen) -> Result<Next, Failed> {
        let (mut engine, tokenizer) = self.open(chosen).map_err(Failed::Opening)?;
        let name = chosen.path.display().to_string();
        let template = ChatTemplate::find(&chosen.path, &tokenizer).map_err(|error| Failed::Opening(error.into()))?;
        let Some(template) = template else {
            let message = format!("{name} has no chat template");
            let hint = "continue raw text with `ffai generate`, or use a model that was made for chat";
            return Err(Failed::Opening(Ending::failed(message, Some(hint.to_owned()))));
        };
        if self.arguments.thinking.switch().is_some() && !template.features().thinking {
            let note = "note: this model's template has no switch for thinking, so --thinking changes nothing";
            self.output.note(note).map_err(Failed::Talking)?;
        }
        self.conversation.model.clone_from(&name);
        let Some(mut session) = Session::new(&mut engine, &tokenizer) else {
            panic!("a fresh engine has no place for a sequence")
        };
        session.set_profiling(self.profiling());
        let mut model = Model { session, tokenizer: &tokenizer, template };
        self.talk(&mut model).map_err(Failed::Talking)
    }

    fn open(&mut self, chosen: &Chosen) -> Result<(Engine, Tokenizer), Ending> {
        let checkpoint = chosen.announced(&mut self.output)?;
        self.sampling = self.arguments.sampling.options(&sampling_defaults(&checkpoint)?.options())?;
        let warm = (!self.arguments.engine.on.no_prewarm).then_some(self.sampling);
        load(&checkpoint, &self.options, warm, &mut self.output)
    }

    /// Which tokens are profiled.
    fn profiling(&self) -> Option<Profiling> {
        #[cfg(feature = "dashboard")]
        if let Some(feed) = &self.feed {
            return Some(feed.profiling());
        }
        profiling(self.arguments.observing.profiles(), self.logged.is_some())
    }

    fn stats(&self) -> String {
        match &self.last {
            Some(stats) => report::stats(stats),
            None => "nothing was said yet".to_owned(),
        }
    }
}
