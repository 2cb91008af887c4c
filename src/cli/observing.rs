//! Options that show what the engine is doing, for every command that runs a model.

use super::ending::Ending;
use super::output::Output;
use clap::Args;
use ffai::observe::{self, Gates, Level, SUBSYSTEMS};
use std::fmt;
use std::io;
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What to show of a run.
#[derive(Args, Clone, Debug)]
pub(crate) struct ObservingArguments {
    /// Log what happens to standard error; FFAI_DEBUG_LOADER=1 and its like open one subsystem, RUST_LOG filters by itself
    #[arg(long, help_heading = "Insight")]
    pub(crate) debug: bool,
    /// 0 off, 1 times of phases, 2 spans for tracers too, 3 times of every op too, as --profile
    #[arg(long, value_name = "N", default_value = "0", allow_negative_numbers = true, help_heading = "Insight")]
    profiling: String,
    /// Show where the time goes: per token, per layer, per op, beside what the device can do at best
    #[arg(long, help_heading = "Insight")]
    profile: bool,
}

impl ObservingArguments {
    fn level(&self) -> Result<Level, Ending> {
        self.profiling.parse().ok().and_then(Level::numbered).ok_or_else(|| {
            Ending::usage(format!("Invalid --profiling level {}. Use 0, 1, 2 or 3.", self.profiling), None)
        })
    }

    /// Opens what was asked for. Call it before anything else happens.
    pub(crate) fn begin(&self) -> Result<Level, Ending> {
        let level = self.level()?;
        subscribe(self.debug)?;
        observe::set_level(level);
        Ok(level)
    }

    /// As [`Self::begin`], for who shows logs elsewhere: what passes, or nothing where nothing was opened.
    #[cfg(feature = "dashboard")]
    pub(crate) fn begin_apart(&self) -> Result<(Level, Option<EnvFilter>), Ending> {
        Ok((self.level()?, filter(self.debug)?))
    }

    /// Whether the time of every op is asked for.
    pub(crate) fn profiles(&self) -> bool {
        self.profile || self.profiling == "3"
    }

    /// The `[PROFILE]` block, from level 1 on.
    pub(crate) fn phases(&self, output: &mut Output) -> Result<(), Ending> {
        // By what was asked for: a timeline raises the level by itself.
        match self.level()? {
            Level::Off => Ok(()),
            _ => output.note(format!("[PROFILE]\n{}", observe::phases()).trim_end()),
        }
    }
}

/// What passes of what is logged; `None` where nothing was opened.
fn filter(debug: bool) -> Result<Option<EnvFilter>, Ending> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    let gates =
        Gates::from_environment(variables).map_err(|error| Ending::usage(error.to_string(), Some(error.hint())))?;
    let gates = if debug { Gates::ALL } else { gates };
    let own = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    if own.is_none() && gates.is_closed() {
        return Ok(None);
    }
    let opened = SUBSYSTEMS.iter().filter(|name| gates.is_open(name)).map(|name| format!("ffai::{name}=debug"));
    // Targets match by how they begin: `ffai::load` opens `ffai::loader` too, unless that is closed by name.
    let loader = gates.is_open("load") && !gates.is_open("loader");
    let closed = loader.then(|| "ffai::loader=off".to_owned());
    let directives: Vec<String> = own.into_iter().chain(opened).chain(closed).collect();
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).parse(directives.join(","));
    filter.map(Some).map_err(|error| {
        let hint = "RUST_LOG lists targets and levels, such as `ffai=debug,wgpu_core=warn`";
        Ending::usage(format!("RUST_LOG cannot be read: {error}"), Some(hint.to_owned()))
    })
}

/// Sends what is logged to standard error, where anything was opened.
fn subscribe(debug: bool) -> Result<(), Ending> {
    let Some(filter) = filter(debug)? else { return Ok(()) };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).event_format(Lines).with_writer(io::stderr);
    // A program that embeds this one may have its own already: it then gets the events.
    let _ = subscriber.try_init();
    Ok(())
}

/// `[ffai:<subsystem>] message`.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let target = event.metadata().target();
        let subsystem = target.strip_prefix("ffai::").map(|name| format!("ffai:{name}"));
        let mut line = Line(String::new());
        event.record(&mut line);
        writeln!(writer, "[{}] {}", subsystem.as_deref().unwrap_or(target), line.0)
    }
}

/// An event's message, and its other fields behind it.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        // Writing into a String cannot fail.
        let _ = match field.name() {
            "message" => {
                let rest = std::mem::take(&mut self.0);
                write!(self.0, "{value:?}{rest}")
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
