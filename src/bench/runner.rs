//! Runs methods.

use super::load::LoadMeter;
use super::measured::{Rates, preview};
use super::reference::{Opening, ReferenceModel};
use super::report::timestamp;
use super::{BenchOptions, BenchRow, Error, Load, Method, multi_turn, niah, summarization, tools, wikitext2};
use crate::generate::{Engine, Generation, Request, Session};
use crate::text::{Bos, ChatTemplate, EncodeOptions, Special, Tokenizer};
use crate::weights::Checkpoint;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Runs methods on one model and gives their rows.
///
/// ```no_run
/// use ffai::bench::{BenchOptions, BenchRunner, Machine, Method, ReportWriter};
/// use ffai::generate::{OpenOptions, open};
///
/// # fn main() -> Result<(), ffai::bench::Error> {
/// let (engine, tokenizer) = open("model.gguf".as_ref(), &OpenOptions::default(), &mut |_done, _total| {})?;
/// let machine = Machine::here(&engine.device().name);
/// let options = BenchOptions { prompt: Some("Once upon a time".to_owned()), ..BenchOptions::default() };
/// let rows = BenchRunner::new(engine, &tokenizer, "model.gguf").run(Method::Simple, &options)?;
/// let files = ReportWriter::new("benchmarks", machine).append(&rows)?;
/// println!("{}", files.markdown.display());
/// # Ok(())
/// # }
/// ```
pub struct BenchRunner<'e> {
    pub(super) engine: Option<Engine>,
    pub(super) tokenizer: &'e Tokenizer,
    pub(super) model: String,
    pub(super) template: Option<ChatTemplate>,
    weight_format: Option<String>,
    pub(super) reference: Option<ReferenceModel<'e>>,
    pub(super) reopen: Option<Opening<'e>>,
}

/// What a method's runs gave, and what else the machine did meanwhile.
pub(super) struct Measured<T> {
    pub(super) runs: Vec<T>,
    pub(super) load: Option<Load>,
}

impl<'e> BenchRunner<'e> {
    /// For a model that is open; `model` is its name in rows.
    pub fn new(engine: Engine, tokenizer: &'e Tokenizer, model: impl Into<String>) -> Self {
        Self {
            engine: Some(engine),
            tokenizer,
            model: model.into(),
            template: None,
            weight_format: None,
            reference: None,
            reopen: None,
        }
    }

    /// Uses a chat template, for methods that need one.
    #[must_use]
    pub fn with_template(mut self, template: Option<ChatTemplate>) -> Self {
        self.template = template;
        self
    }

    /// Notes in rows what most of the weights of `checkpoint` are stored as.
    #[must_use]
    pub fn with_checkpoint(mut self, checkpoint: &Checkpoint) -> Self {
        let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
        for weight in checkpoint.inventory() {
            *bytes.entry(weight.kind).or_default() += weight.bytes;
        }
        self.weight_format = bytes.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(kind, _)| kind);
        self
    }

    /// The model, which is not away: only a comparison that failed leaves it so, and with it the run ends.
    pub(super) fn engine(&mut self) -> &mut Engine {
        match &mut self.engine {
            Some(engine) => engine,
            None => panic!("the model was taken off the device for its reference, and could not be opened again"),
        }
    }

    /// Gives the model back; `None` where it could not be opened again after its reference.
    pub fn into_engine(self) -> Option<Engine> {
        self.engine
    }

    /// Runs a method: one row, or one for each context of a sweep.
    ///
    /// # Errors
    /// What [`BenchOptions::check`] refuses, what the model lacks for the method, and what fails while it runs.
    pub fn run(&mut self, method: Method, options: &BenchOptions) -> Result<Vec<BenchRow>, Error> {
        options.check(method)?;
        let (runs, warmup) = (options.runs, options.warmup);
        tracing::debug!(target: "ffai::bench", "method {method}: {} (runs {runs}, warmup {warmup})", self.model);
        let rows = match method {
            Method::Simple => self.simple(options).map(|row| vec![row]),
            Method::Summarization => summarization::run(self, options),
            Method::WikiText2 => wikitext2::run(self, options),
            Method::Niah => niah::run(self, options).map(|row| vec![row]),
            Method::MultiTurn => multi_turn::run(self, options).map(|row| vec![row]),
            Method::ToolCalling => tools::run(self, options).map(|row| vec![row]),
            other => other.expect_there().map(|()| Vec::new()),
        }?;
        tracing::debug!(target: "ffai::bench", "method {method}: {} rows", rows.len());
        Ok(rows)
    }

    /// The prompt as it is, continued.
    fn simple(&mut self, options: &BenchOptions) -> Result<BenchRow, Error> {
        let prompt = options.prompt.as_deref().unwrap_or_default();
        let ids = self.encode(prompt, Bos::AsModel)?;
        let request = self.request(Method::Simple, ids, options);
        self.continued(Method::Simple, options, &request)
    }

    /// The row of one prompt that every run continues anew.
    pub(super) fn continued(
        &mut self,
        method: Method,
        options: &BenchOptions,
        request: &Request,
    ) -> Result<BenchRow, Error> {
        let measured = self.repeat(options, |runner| runner.alone(request))?;
        let mut row = self.row(method, options, measured.load);
        row.set_rates(&measured.runs.iter().map(|run| Rates::from(&run.stats)).collect::<Vec<_>>());
        row.set_memory(measured.runs.iter().map(|run| &run.stats));
        if let Some(first) = measured.runs.first() {
            row.prompt_tokens = first.stats.prompt_tokens as u64;
            row.generated_tokens = first.stats.generated_tokens as u64;
            row.output_preview = preview(&first.text);
            // A prompt of one's own costs little to run again; one that was made to be long does not, unless there is a reason.
            if method == Method::Simple || options.reference {
                self.judge(&mut row, options, &request.prompt, &first.ids)?;
            }
        }
        Ok(row)
    }

    /// Runs something as often as was asked for, the first times without counting it, and watches the machine meanwhile.
    pub(super) fn repeat<T>(
        &mut self,
        options: &BenchOptions,
        mut run: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Measured<T>, Error> {
        let meter = LoadMeter::begin(self.engine());
        for number in 1..=options.warmup {
            tracing::debug!(target: "ffai::bench", "warming up, {number} of {}", options.warmup);
            run(self)?;
        }
        let mut runs = Vec::with_capacity(options.runs as usize);
        for number in 1..=options.runs {
            tracing::debug!(target: "ffai::bench", "run {number} of {}", options.runs);
            runs.push(run(self)?);
        }
        Ok(Measured { runs, load: meter.end() })
    }

    /// Runs a request on an empty sequence, so that nothing of it is there already. Nobody listens to the tokens.
    pub(super) fn alone(&mut self, request: &Request) -> Result<Generation, Error> {
        let mut session = self.session();
        let generation = session.generate(request, &mut |_| ControlFlow::Continue(()))?;
        let stats = &generation.stats;
        tracing::debug!(
            target: "ffai::bench",
            "{} tokens prefilled in {:.3}s, {} decoded in {:.3}s",
            stats.prompt_tokens, stats.prefill_seconds, stats.generated_tokens, stats.decode_seconds
        );
        Ok(generation)
    }

    pub(super) fn session(&mut self) -> Session<'_> {
        let tokenizer = self.tokenizer;
        match Session::new(self.engine(), tokenizer) {
            Some(session) => session,
            None => panic!("all of the engine's sequences are in use by others"),
        }
    }

    pub(super) fn encode(&self, text: &str, bos: Bos) -> Result<Vec<u32>, Error> {
        let options = EncodeOptions { special: Special::Parse, bos };
        Ok(self.tokenizer.encode(text, options).map_err(crate::Error::from)?)
    }

    pub(super) fn request(&self, method: Method, prompt: Vec<u32>, options: &BenchOptions) -> Request {
        Request {
            prompt,
            max_tokens: options.tokens(method),
            sampling: options.sampling,
            stop: options.stop.clone(),
            ignore_eos: options.ignore_eos,
        }
    }

    /// The template, or why the method cannot do without.
    pub(super) fn template(&self, method: Method) -> Result<ChatTemplate, Error> {
        self.template.clone().ok_or_else(|| self.lacks(method, "has no chat template"))
    }

    pub(super) fn lacks(&self, method: Method, lacks: &'static str) -> Error {
        Error::Model { method, model: self.model.clone(), lacks }
    }

    /// Those of `contexts` that were asked for, or of the method's own those that the engine has room for besides `room` tokens.
    ///
    /// # Errors
    /// One that was asked for does not fit.
    pub(super) fn contexts(&mut self, options: &BenchOptions, own: &[u32], room: usize) -> Result<Vec<u32>, Error> {
        let most = (self.engine().context() as usize).saturating_sub(room);
        let fits = |&tokens: &u32| tokens as usize <= most;
        if options.contexts.is_empty() {
            let fitting: Vec<u32> = own.iter().copied().filter(fits).collect();
            // A model of a context that is smaller than all of them is measured all the same.
            return Ok(if fitting.is_empty() { vec![(most as u32).max(1)] } else { fitting });
        }
        match options.contexts.iter().find(|tokens| !fits(tokens)) {
            None => Ok(options.contexts.clone()),
            Some(tokens) => Err(Error::Option {
                option: "--ctx",
                expected: format!("at most {most} tokens here, with {room} of the context left for what follows them"),
                found: tokens.to_string(),
            }),
        }
    }

    /// A row with what does not depend on what is measured.
    pub(super) fn row(&mut self, method: Method, options: &BenchOptions, load: Option<Load>) -> BenchRow {
        let device = self.engine().device();
        let element = format!("{:?}", self.engine().cache().shape().element).to_lowercase();
        BenchRow {
            model: self.model.clone(),
            method: method.name().to_owned(),
            quantization: options.quantization.clone(),
            measured_at: Some(timestamp()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            device: Some(device.name),
            backend: Some(device.backend.to_owned()),
            kv_cache: Some(element),
            weight_format: self.weight_format.clone(),
            runs: Some(options.runs),
            warmup: Some(options.warmup),
            load,
            ..BenchRow::default()
        }
    }
}
