//! `ffai bench`: measures a model by a method and keeps the rows.

use super::bench_arguments::BenchArguments;
use super::device::{self, DeviceChoice};
use super::ending::Ending;
use super::generate::{choose, load};
use super::output::Output;
use super::{interrupt, tracers};
use ffai::bench::{self, BenchOptions, BenchRow, BenchRunner, Machine, Method, ReportFiles, ReportWriter};
use ffai::generate::{AUTO_CONTEXT, OpenOptions, open_checkpoint};
use ffai::model;
use ffai::text::ChatTemplate;
use ffai::weights::Checkpoint;
use std::path::PathBuf;

pub(crate) fn run(arguments: BenchArguments) -> Result<(), Ending> {
    if arguments.on.device == Some(DeviceChoice::List) {
        return device::list(&mut Output::plain());
    }
    // What is wrong with the command line, and what is not there yet, shows before a model is looked for.
    let method: Method = arguments.method.parse()?;
    let options = arguments.options()?;
    options.check(method)?;
    let tracers = tracers::attach(&arguments.tracers, arguments.observing.begin()?)?;
    let mut open = arguments.on.options()?;
    let mut output = Output::new(arguments.json, false);
    if arguments.observing.profiles() {
        output.aside("note: ops are not timed while a model is measured, which would slow it; `ffai generate --profile` times them");
    }
    interrupt::watch();
    let model = choose(Some(arguments.model().to_owned()), open.memory_budget, false)?;
    let checkpoint = model.announced(&mut output)?;
    // What is wrong with the reference's files shows before hours of measuring.
    let reference = match arguments.ref_model.clone() {
        Some(named) => Some(Checkpoint::open(&choose(Some(named), open.memory_budget, false)?.path)?),
        None => None,
    };
    open.context = context(&checkpoint, &open, &options, method)?;
    let warm = (!arguments.on.no_prewarm).then_some(options.sampling);
    let (engine, tokenizer) = load(&checkpoint, &open, warm, &mut output)?;

    let machine = Machine::here(&engine.device().name);
    let template = ChatTemplate::find(&model.path, &tokenizer)?;
    let memory = engine.memory();
    let beside = |in_use: u64| {
        let budget = memory.budget.or(memory.working_set).map(|budget| budget.saturating_sub(in_use));
        OpenOptions { memory_budget: budget, ..open.clone() }
    };
    let runner = BenchRunner::new(engine, &tokenizer, arguments.model());
    let mut runner = runner.with_template(template).with_checkpoint(&checkpoint);
    if let Some(reference) = &reference {
        runner = runner
            .with_reference(|in_use| open_checkpoint(reference, &beside(in_use), &mut |_, _| {}))
            .with_reopening(|in_use| open_checkpoint(&checkpoint, &beside(in_use), &mut |_, _| {}));
    }
    let rows = runner.run(method, &options)?;
    let writer = ReportWriter::new(&arguments.report_dir, machine);
    let files = writer.append(&rows)?;
    let picture = picture(&writer, &rows)?;
    let blocks: Vec<String> = rows.iter().map(|row| block(row, &files, picture.as_ref())).collect();
    if arguments.json {
        output.text(&(bench::to_json(&rows) + "\n"))?;
        output.note(blocks.concat().trim_end())?;
    } else {
        output.text(&blocks.concat())?;
    }
    arguments.observing.phases(&mut output)?;
    tracers.finish()
}

/// The context to open the model with: what is asked for, or enough for prompts that are longer than what is taken by itself.
fn context(
    checkpoint: &Checkpoint,
    open: &OpenOptions,
    options: &BenchOptions,
    method: Method,
) -> Result<Option<u32>, Ending> {
    let Some(longest) = options.longest(method) else {
        return Ok(options.contexts.iter().max().copied().or(open.context));
    };
    if longest <= AUTO_CONTEXT {
        return Ok(open.context);
    }
    Ok(Some(longest.min(model::family(checkpoint)?.config(checkpoint)?.context)))
}

/// The heat map of rows that have needles, beside the report.
fn picture(writer: &ReportWriter, rows: &[BenchRow]) -> Result<Option<PathBuf>, Ending> {
    let Some(row) = rows.iter().find(|row| !row.needles.is_empty()) else { return Ok(None) };
    Ok(Some(writer.heat_map(row)?))
}

/// What is told of a row.
fn block(row: &BenchRow, files: &ReportFiles, picture: Option<&PathBuf>) -> String {
    let mut lines = vec![
        ("prefill tok/s", format!("{:.2}", row.prefill_tokens_per_second)),
        ("decode tok/s", format!("{:.2}", row.decode_tokens_per_second)),
    ];
    let number = |value: Option<f64>, digits: usize| value.map(|value| format!("{value:.digits$}"));
    lines.extend(number(row.steady_tokens_per_second, 2).map(|text| ("steady tok/s", text)));
    lines.push(("TTFT", format!("{:.2} ms", row.time_to_first_token_ms)));
    lines.extend(number(row.gen_perplexity, 3).map(|text| ("gen perplexity", text)));
    lines.extend(number(row.gen_kl_divergence, 4).map(|text| ("gen KLD", text)));
    lines.push(("report", files.markdown.display().to_string()));
    lines.push(("sidecar", files.sidecar.display().to_string()));
    lines.extend(picture.map(|path| ("heat map", path.display().to_string())));
    if row.method == Method::Summarization.name() {
        lines.push(("context", format!("{} tokens", row.context_size)));
    }
    let known = lines.iter().map(|(label, value)| format!("  {:<16}{value}\n", format!("{label}:")));
    let score = |score: f64| if score.fract() == 0.0 { format!("{score}") } else { format!("{score:.4}") };
    let scores = row.scores.iter().map(|(name, value)| format!("  {name}: {}\n", score(*value)));
    format!("[BENCH] {} {}\n{}", row.method, row.model, known.chain(scores).collect::<String>())
}

impl From<bench::Error> for Ending {
    fn from(error: bench::Error) -> Self {
        let hint = error.hint();
        match error {
            bench::Error::Engine(error) => error.into(),
            bench::Error::UnknownMethod(_) | bench::Error::NoPrompt | bench::Error::Option { .. } => {
                Self::usage(error.to_string(), hint)
            }
            error => Self::failed(error.to_string(), hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_the_contracts() {
        let row = BenchRow {
            model: "org/model".to_owned(),
            method: "simple".to_owned(),
            prefill_tokens_per_second: 60.714,
            decode_tokens_per_second: 64.06,
            steady_tokens_per_second: Some(65.2),
            time_to_first_token_ms: 82.34,
            gen_perplexity: Some(21.5478),
            gen_kl_divergence: Some(0.01),
            ..BenchRow::default()
        };
        let files = ReportFiles { markdown: "b/x.md".into(), sidecar: "b/.x.state.json".into() };
        let expected = "[BENCH] simple org/model
  prefill tok/s:  60.71
  decode tok/s:   64.06
  steady tok/s:   65.20
  TTFT:           82.34 ms
  gen perplexity: 21.548
  gen KLD:        0.0100
  report:         b/x.md
  sidecar:        b/.x.state.json
";
        assert_eq!(block(&row, &files, None), expected);
        let short = BenchRow { steady_tokens_per_second: None, gen_perplexity: None, gen_kl_divergence: None, ..row };
        let unknown = |line: &&str| !["steady", "perplexity", "KLD"].iter().any(|word| line.contains(word));
        let lines: Vec<&str> = expected.lines().filter(unknown).collect();
        assert_eq!(block(&short, &files, None).lines().collect::<Vec<_>>(), lines);
    }
}
