//! An inspection as people read it.

use super::fetching::printable;
use super::kernel_table;
use super::table::{Side, table};
use ffai::generate::Sourced;
use ffai::inspect::{FitReport, Inspection, TokenText, TokenizerReport};
use ffai::model::{Description, LayerDescription, ModelConfig, Rope, Scaling};
use indicatif::HumanBytes;
use std::fmt::Display;

/// Control tokens that are shown.
const SHOWN: usize = 12;

/// A name and what is to be said of it.
type Line = [String; 2];

/// All of it. Words that strangers wrote are escaped.
pub(crate) fn view(inspection: &Inspection) -> String {
    let mut text = format!("{}\n", printable(&inspection.model));
    text += &section("", &about(inspection));
    if let (Some(shape), Some(computes)) = (&inspection.shape, &inspection.computes) {
        text += &section("architecture", &architecture(shape, computes));
    }
    text += "\nweights\n";
    text += &weights(inspection);
    let mut lines = inspection.tokenizer.as_ref().map(tokenizer).unwrap_or_default();
    lines.extend(conversation(inspection));
    text += &section("text", &lines);
    if let Some(fit) = &inspection.fit {
        let title = format!("memory on {} ({}) with --ctx {}", printable(&fit.device), fit.backend, fit.fit.context);
        text += &format!("\n{title}\n{}", memory(fit));
    }
    if let Some(kernels) = &inspection.kernels {
        let device = inspection.fit.as_ref().map_or(String::new(), |fit| format!(" on {}", printable(&fit.device)));
        text += &format!("\nkernels{device}\n{}", kernel_table::view(kernels));
    }
    for problem in &inspection.problems {
        text += &format!("\nproblem: {}\n", printable(problem));
    }
    if let Some(hint) = inspection.fit.as_ref().and_then(|fit| fit.hint.as_ref()) {
        text += &format!("hint: {}\n", printable(hint));
    }
    text
}

fn section(title: &str, lines: &[Line]) -> String {
    let title = if title.is_empty() { String::new() } else { format!("\n{title}\n") };
    if lines.is_empty() { String::new() } else { title + &table("  ", [Side::Left, Side::Left], lines) }
}

fn line(name: &str, what: impl Display) -> Line {
    [name.to_owned(), what.to_string()]
}

fn about(inspection: &Inspection) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(inspection.name.as_ref().map(|name| line("name", printable(name))));
    let kind = inspection.model_type.as_ref().map_or_else(|| "not told".to_owned(), |kind| printable(kind));
    match inspection.family {
        Some(family) => lines.push(line("family", format!("{family} (model type {kind})"))),
        None => lines.push(line("family", format!("none of this build (model type {kind})"))),
    }
    let parameters = inspection.parameters;
    let [total, inner] = [parameters.total, parameters.without_embedding].map(count);
    lines.push(line("parameters", format!("{total}, {inner} without the embedding")));
    lines.push(line("files", format!("{}, {}", inspection.storage, HumanBytes(inspection.file_bytes))));
    lines
}

/// A large number: `134.5 M`.
fn count(number: u64) -> String {
    let millions = number as f64 / 1e6;
    match number {
        0..1_000_000 => number.to_string(),
        1_000_000..1_000_000_000 => format!("{millions:.1} M"),
        _ => format!("{:.2} B", millions / 1e3),
    }
}

fn architecture(shape: &ModelConfig, computes: &Description) -> Vec<Line> {
    let heads = shape.heads;
    let also = |has: bool, what: &str| if has { format!(", {what}") } else { String::new() };
    let norms =
        also(computes.post_norms, "behind blocks too") + &also(computes.head_norms, "of query and key heads too");
    let head = if computes.tied_head { "repeats the embedding" } else { "its own" };
    let cap = computes.logit_cap.map_or(String::new(), |cap| format!(", logits capped at {cap}"));
    let mut lines = vec![
        line("layers", shape.layers),
        line("hidden", shape.hidden),
        line("feed-forward", format!("{}, {}", shape.ffn, computes.activation)),
        line(
            "heads",
            format!("{}, {} for keys and values, of {} elements", heads.heads, heads.kv_heads, heads.head_dim),
        ),
        line("norms", format!("RMS, epsilon {:e}{norms}", shape.eps)),
        line("vocabulary", shape.vocab),
        line("head", format!("{head}{cap}")),
        line("context", format!("{} tokens", shape.context)),
    ];
    if computes.embedding_scale != 1.0 {
        lines.push(line("embedding", format!("scaled by {}", computes.embedding_scale)));
    }
    if computes.biases {
        lines.push(line("biases", "on queries, keys and values"));
    }
    for (layers, kind) in kinds(&computes.layers) {
        let name = if layers.len() == computes.layers.len() { "all layers".to_owned() } else { ranges(&layers) };
        lines.push(["attention".to_owned(), format!("{name}: {}", attention(&kind, shape))]);
    }
    lines
}

/// Layers by what they compute, in the order in which each kind first occurs.
fn kinds(layers: &[LayerDescription]) -> Vec<(Vec<usize>, LayerDescription)> {
    let mut kinds: Vec<(Vec<usize>, LayerDescription)> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        match kinds.iter_mut().find(|(_, kind)| kind == layer) {
            Some((indices, _)) => indices.push(index),
            None => kinds.push((vec![index], *layer)),
        }
    }
    kinds
}

/// `layers 0–4, 6–10`.
fn ranges(indices: &[usize]) -> String {
    let mut ranges: Vec<[usize; 2]> = Vec::new();
    for &index in indices {
        match ranges.last_mut() {
            Some([_, last]) if *last + 1 == index => *last = index,
            _ => ranges.push([index, index]),
        }
    }
    let range = |[first, last]: [usize; 2]| if first == last { first.to_string() } else { format!("{first}–{last}") };
    format!("layers {}", ranges.into_iter().map(range).collect::<Vec<_>>().join(", "))
}

fn attention(kind: &LayerDescription, shape: &ModelConfig) -> String {
    let window = kind.window.map_or("no window".to_owned(), |window| format!("window of {window}"));
    let cap = kind.score_cap.map_or(String::new(), |cap| format!(", capped at {cap}"));
    let Rope { base, scaling, stored_factors } = kind.rope;
    let stretched = match scaling {
        Scaling::None => String::new(),
        Scaling::Linear { factor } => format!(", stretched {factor} times"),
        Scaling::Llama3 { factor, original, .. } => {
            format!(", stretched {factor} times from {original} tokens (llama3)")
        }
    };
    let stored = if stored_factors { ", with factors from the file" } else { "" };
    let part =
        if shape.rotary == shape.heads.head_dim { String::new() } else { format!(" of {} elements", shape.rotary) };
    format!("{window}, scores × {}{cap}, rotary base {base}{part}{stretched}{stored}", kind.score_scale)
}

fn weights(inspection: &Inspection) -> String {
    let head = ["ROLE", "FORMAT", "WEIGHTS", "PARAMETERS", "BYTES", "SHARE", ""].map(str::to_owned);
    let row = |row: &ffai::inspect::WeightRow| {
        [
            row.role.name().to_owned(),
            printable(&row.format),
            row.weights.to_string(),
            count(row.parameters),
            HumanBytes(row.bytes).to_string(),
            format!("{:.1} %", row.share * 100.0),
            if row.readable { String::new() } else { "no kernel".to_owned() },
        ]
    };
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(inspection.weights.iter().map(row)).collect();
    let mut sides = [Side::Right; 7];
    (sides[0], sides[1], sides[6]) = (Side::Left, Side::Left, Side::Left);
    table("  ", sides, &rows)
}

fn tokenizer(report: &TokenizerReport) -> Vec<Line> {
    let token = |token: &TokenText| format!("{:?} ({})", token.text, token.id);
    let list = |tokens: &[TokenText]| tokens.iter().map(token).collect::<Vec<_>>().join(", ");
    let bos = match (&report.bos, report.adds_bos) {
        (Some(bos), true) => format!("{}, in front of every text", token(bos)),
        (Some(bos), false) => format!("{}, not added", token(bos)),
        (None, _) => "none".to_owned(),
    };
    let mut control = list(&report.control[..report.control.len().min(SHOWN)]);
    if report.control_tokens > SHOWN {
        control += ", …";
    }
    let probe = &report.probe;
    let back = if probe.round_trip { "comes back unchanged" } else { "comes back changed" };
    vec![
        line("tokenizer", format!("{}, {} tokens", report.kind, report.vocab_size)),
        line("begins", bos),
        line("ends", list(&report.eos)),
        line("control tokens", format!("{}: {control}", report.control_tokens)),
        line("probe", format!("{:?} {back}: {:?}", probe.text, probe.ids)),
    ]
}

fn conversation(inspection: &Inspection) -> Vec<Line> {
    let mut lines = Vec::new();
    match &inspection.chat_template {
        Some(features) => {
            let named =
                [(features.system, "a system prompt"), (features.tools, "tools"), (features.thinking, "thinking")];
            let taken: Vec<&str> = named.into_iter().filter(|(takes, _)| *takes).map(|(_, what)| what).collect();
            let taken = if taken.is_empty() { "messages alone".to_owned() } else { taken.join(", ") };
            lines.push(line("chat template", format!("takes {taken}")));
        }
        None => lines.push(line("chat template", "none")),
    }
    if let Some(thinking) = &inspection.thinking {
        let tags = thinking.tags.iter().map(|[open, close]| format!(" {open} {close}")).collect::<String>();
        lines.push(line("thinking", format!("{}{tags}", thinking.style)));
    }
    if let Some(sampling) = &inspection.sampling {
        fn part<T: Display>(name: &str, said: &Sourced<T>) -> String {
            format!("{name} {} ({})", said.value, said.source)
        }
        let parts = [
            part("temperature", &sampling.temperature),
            part("top-k", &sampling.top_k),
            part("top-p", &sampling.top_p),
            part("min-p", &sampling.min_p),
            part("repetition penalty", &sampling.repetition_penalty),
        ];
        lines.push(line("sampling", parts.join(", ")));
    }
    if let Some(cache) = inspection.cache {
        let [half, single] = [cache.f16_bytes_per_1024_tokens, cache.f32_bytes_per_1024_tokens].map(HumanBytes);
        lines.push(line("cache", format!("{half} per 1024 tokens in f16, {single} in f32")));
    }
    lines
}

fn memory(report: &FitReport) -> String {
    let FitReport { fit, .. } = report;
    let needs = fit.needs;
    let row = |name: &str, bytes: u64, what: &str| [name.to_owned(), HumanBytes(bytes).to_string(), what.to_owned()];
    let mut rows = vec![
        row("weights", needs.weights, ""),
        row("cache", needs.cache, "keys and values of the whole context"),
        row("growth", needs.growth, "a layer's old keys, while the cache is enlarged"),
        row("activations", needs.arena, "of the largest plan"),
        row("buffers", needs.step, "rows, page tables, sampling"),
        row("sum", report.total, ""),
    ];
    if fit.used > 0 {
        rows.push(row("in use", fit.used, "already"));
    }
    let verdict = match (report.fits, report.largest_context) {
        (true, Some(context)) => format!("fits, up to --ctx {context}"),
        (false, Some(context)) => format!("does not fit; --ctx {context} would"),
        (_, None) => "does not fit, whatever the context".to_owned(),
    };
    match fit.budget {
        Some(budget) => rows.push(row("budget", budget, &verdict)),
        None => rows.push(["budget".to_owned(), "none".to_owned(), verdict]),
    }
    table("  ", [Side::Left, Side::Right, Side::Left], &rows)
}
