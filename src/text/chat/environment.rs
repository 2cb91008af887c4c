//! The environment that templates run in, and the run itself.

use super::budget::Budget;
use super::python::{self, Text, write_str};
use super::{generation_tags, rewrite};
use crate::text::Error;
use minijinja::machinery::{self, CodeGenerator, ast, make_string_output};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, Value};
use std::sync::Arc;

/// The longest template that is read. The longest in circulation have some 20 KB.
const SOURCE: usize = 256 << 10;
/// Address space, not memory: as deep as a template of that length can make the parser nest.
const STACK: usize = 256 << 20;
/// How deeply macros and loops may call each other; a macro counts four times.
const RECURSION: usize = 500;

/// What time it is.
pub(super) type Clock = fn() -> jiff::Zoned;

/// Refuses a template that cannot be run at all.
pub(super) fn check(source: &str) -> Result<(), Error> {
    on_deep_stack(|| parse(&generation_tags::replace(source)).map(|_| ()))
}

/// The template's text over `variables`, which came from `input` bytes.
pub(super) fn render(source: &str, variables: Value, input: u64, clock: Clock) -> Result<String, Error> {
    on_deep_stack(|| {
        let source = generation_tags::replace(source);
        let tree = parse(&source)?;
        let mut generator = CodeGenerator::new("", &source);
        generator.compile_stmt(&tree);
        let (instructions, blocks) = generator.finish();
        let budget = Arc::new(Budget::new(input));
        let environment = environment(&budget, Budget::steps(input), clock);
        let mut text = String::new();
        let mut output = make_string_output(&mut text);
        let ran = machinery::eval(&environment, &instructions, variables, &blocks, &mut output, AutoEscape::None);
        ran.map(|_| ()).map_err(|error| explain(&error, &budget))?;
        Ok(text)
    })
}

fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("template".to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Error::TemplateThread(error.to_string()))?;
        // A template is foreign code, and so is what runs it: what makes it panic is an error of the template's.
        let failed = || Error::TemplateRun { line: None, what: "minijinja gave up".to_owned() };
        thread.join().unwrap_or_else(|_| Err(failed()))
    })
}

fn parse(source: &str) -> Result<ast::Stmt<'_>, Error> {
    if source.len() > SOURCE {
        return Err(Error::TemplateSize { found: source.len(), most: SOURCE });
    }
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build();
    let tree = syntax.and_then(|syntax| machinery::parse(source, "", syntax)).and_then(|tree| rewrite::rewrite(&tree));
    tree.map_err(|error| Error::TemplateSyntax { line: error.line(), what: what(&error) })
}

/// As transformers sets it up: undefined variables are empty, nothing is escaped.
fn environment<'e>(budget: &Arc<Budget>, steps: u64, clock: Clock) -> Environment<'e> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(steps));
    environment.set_recursion_limit(RECURSION);
    // Prints minijinja's own state, which is nobody's business and of any size.
    environment.remove_global("debug");
    python::add_to(&mut environment, budget);
    let own = budget.clone();
    environment.set_formatter(move |output, _, value| {
        let mut text = Text::new(&own);
        write_str(&mut text, value)?;
        output.write_str(&text.finish()).map_err(|_| minijinja::Error::from(ErrorKind::WriteFailure))
    });
    let own = budget.clone();
    environment.add_function("raise_exception", move |message: Value| -> Result<Value, minijinja::Error> {
        let mut text = Text::new(&own);
        write_str(&mut text, &message)?;
        Err(own.raise(text.finish()))
    });
    let own = budget.clone();
    environment.add_function("strftime_now", move |format: &str| -> Result<String, minijinja::Error> {
        // A directive of two bytes may stand for a date, or for some hundred digits.
        own.spend(format.len() as u64 * 128)?;
        jiff::fmt::strtime::format(format, &clock())
            .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
    });
    environment
}

/// What a failed run was about.
fn explain(error: &minijinja::Error, budget: &Budget) -> Error {
    if let Some(message) = budget.raised() {
        return Error::TemplateRefused { message };
    }
    // An error within a macro comes wrapped in that of its call.
    let mut causes = std::iter::successors(Some(error), |error| {
        std::error::Error::source(*error).and_then(|source| source.downcast_ref::<minijinja::Error>())
    });
    let limit = |error: &minijinja::Error| match error.kind() {
        ErrorKind::OutOfFuel => Some("the steps that it takes"),
        ErrorKind::InvalidOperation if error.detail() == Some("recursion limit exceeded") => {
            Some("the depth of its calls")
        }
        _ if budget.exceeded() => Some("the text and lists that it makes"),
        _ => None,
    };
    if let Some(what) = causes.clone().find_map(limit) {
        return Error::TemplateLimit { what };
    }
    let first = causes.clone().last().unwrap_or(error);
    let line = causes.find_map(minijinja::Error::line);
    Error::TemplateRun { line: first.line().or(line), what: what(first) }
}

/// What minijinja says, without the place.
fn what(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
