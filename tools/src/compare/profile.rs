//! A profile, as `ffai generate --profile --json` writes it: times, calls, counters and memory.

use super::field::Field;
use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};

/// Counters that must be numbers where they stand; others are taken where they are.
const COUNTERS: &[&str] = &["dispatches", "passes", "hazards", "submits", "syncs", "readback_bytes", "weight_bytes"];
/// Not a cost of the step: it grows with the position at which the step was counted.
const POSITION: &str = "kv_bytes";
/// What the system allows, not what the run takes.
const ALLOWANCE: &str = "wired_ticket_bytes";

/// What one run measured.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) file: String,
    pub(super) model: Option<String>,
    pub(super) device: Option<String>,
    pub(super) backend: Option<String>,
    /// How times were taken.
    pub(super) method: Option<String>,
    pub(super) prompt_tokens: Option<f64>,
    pub(super) generated_tokens: Option<f64>,
    /// Profiled tokens by index, at least one.
    pub(super) tokens: BTreeMap<u64, Moment>,
    pub(super) prefill: Option<Moment>,
    /// Counters of a step that was not profiled.
    pub(super) steady: BTreeMap<String, f64>,
    /// Rows in the order of the file, by their path through the levels.
    pub(super) memory: Vec<Memory>,
    /// The sizes among the statistics of the run, under their names there.
    pub(super) sizes: Vec<Memory>,
}

/// A token or a prefill.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) gpu_ms: Option<f64>,
    pub(super) wall_ms: Option<f64>,
    /// Calls that the driver gave no time for.
    pub(super) untimed_ops: f64,
    /// By zone and op.
    pub(super) work: BTreeMap<(String, String), Work>,
    pub(super) counters: BTreeMap<String, f64>,
}

/// What an op did in a zone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    pub(super) calls: f64,
    pub(super) ms: f64,
}

/// Bytes under one name, now and at most.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) name: String,
    pub(super) current: Option<f64>,
    pub(super) peak: Option<f64>,
}

impl Profile {
    /// Reads `profile` and what stands around it in `run`, which may be the same.
    pub(super) fn read(run: &Field, profile: &Field) -> Result<Self, Failure> {
        let mut tokens = BTreeMap::new();
        for (position, token) in profile.list("tokens")?.iter().enumerate() {
            let index = token.number("index")?.map_or(position as u64, |index| index as u64);
            tokens.insert(index, Moment::read(token)?);
        }
        if tokens.is_empty() {
            return Err(profile.unexpected("at least one token in `tokens`"));
        }
        let mut steady = counters(run.get("step")?)?;
        steady.extend(counters(profile.get("counters")?)?);
        let stats = run.get("stats")?;
        let length = |name| stats.as_ref().map_or(Ok(None), |stats| stats.number(name));
        let (prompt_tokens, generated_tokens) = (length("prompt_tokens")?, length("generated_tokens")?);
        Ok(Self {
            file: run.file().to_owned(),
            model: run.text("model")?,
            device: run.text("device")?,
            backend: run.text("backend")?,
            method: profile.text("method")?,
            prompt_tokens,
            generated_tokens,
            tokens,
            prefill: prefill(profile)?,
            steady,
            memory: memory_rows(profile)?,
            sizes: sizes(stats)?,
        })
    }
}

impl Moment {
    fn read(moment: &Field) -> Result<Self, Failure> {
        let mut work: BTreeMap<(String, String), Work> = BTreeMap::new();
        let mut zones_ms = None;
        for zone in moment.list("zones")? {
            let path = zone.text("path")?.unwrap_or_default();
            let mut ops_ms = 0.0;
            for op in zone.list("ops")? {
                let Some(name) = op.text("name")? else { return Err(op.unexpected("an op with a `name`")) };
                let (calls, ms) = (op.number("calls")?.unwrap_or(1.0), op.number("ms")?.unwrap_or(0.0));
                let sum = work.entry((path.clone(), name)).or_default();
                *sum = Work { calls: sum.calls + calls, ms: sum.ms + ms };
                ops_ms += ms;
            }
            zones_ms = Some(zones_ms.unwrap_or(0.0) + zone.number("ms")?.unwrap_or(ops_ms));
        }
        let gaps_ms = moment.number("gaps_ms")?.unwrap_or(0.0);
        Ok(Self {
            gpu_ms: moment.number("gpu_ms")?.or(zones_ms.map(|zones| zones + gaps_ms)),
            wall_ms: moment.number("wall_ms")?,
            untimed_ops: moment.number("untimed_ops")?.unwrap_or(0.0),
            work,
            counters: counters(moment.get("counters")?)?,
        })
    }

    /// Both, one after the other. Times that one lacks are unknown of both.
    fn joined(mut self, next: Self) -> Self {
        let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
        self.gpu_ms = sum(self.gpu_ms, next.gpu_ms);
        self.wall_ms = sum(self.wall_ms, next.wall_ms);
        self.untimed_ops += next.untimed_ops;
        for (place, work) in next.work {
            let all = self.work.entry(place).or_default();
            *all = Work { calls: all.calls + work.calls, ms: all.ms + work.ms };
        }
        self
    }

    /// The names of its ops.
    pub(super) fn ops(&self) -> BTreeSet<&str> {
        self.work.keys().map(|(_, op)| op.as_str()).collect()
    }

    /// What an op did in all zones.
    pub(super) fn op(&self, name: &str) -> Work {
        let works = self.work.iter().filter(|((_, op), _)| op == name).map(|(_, work)| work);
        works.fold(Work::default(), |sum, work| Work { calls: sum.calls + work.calls, ms: sum.ms + work.ms })
    }
}

/// All chunks of the prompt as one: a list of them, or an object where there is one.
fn prefill(profile: &Field) -> Result<Option<Moment>, Failure> {
    let Some(prefill) = profile.get("prefill")? else { return Ok(None) };
    if prefill.is_object() {
        return Moment::read(&prefill).map(Some);
    }
    let chunks = profile.list("prefill")?;
    let chunks = chunks.iter().map(Moment::read).collect::<Result<Vec<Moment>, Failure>>()?;
    Ok(chunks.into_iter().reduce(Moment::joined))
}

fn counters(object: Option<Field>) -> Result<BTreeMap<String, f64>, Failure> {
    let Some(object) = object else { return Ok(BTreeMap::new()) };
    let mut counters = BTreeMap::new();
    for (name, field) in object.fields()? {
        if name != POSITION && (COUNTERS.contains(&name) || field.is_number()) {
            counters.insert(name.to_owned(), field.as_number()?);
        }
    }
    Ok(counters)
}

fn memory_rows(profile: &Field) -> Result<Vec<Memory>, Failure> {
    let mut rows: Vec<Memory> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    for row in profile.list("memory")? {
        let Some(label) = row.text("label")? else { return Err(row.unexpected("a row with a `label`")) };
        path.truncate(row.number("level")?.unwrap_or(0.0) as usize);
        path.push(label);
        let name = path.join("/");
        let namesakes = rows.iter().filter(|row| row.name == name).count();
        let name = if namesakes == 0 { name } else { format!("{name} ({})", namesakes + 1) };
        rows.push(Memory { name, current: row.number("current_bytes")?, peak: row.number("peak_bytes")? });
    }
    Ok(rows)
}

fn sizes(stats: Option<Field>) -> Result<Vec<Memory>, Failure> {
    let Some(stats) = stats else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for (name, field) in stats.fields()? {
        if name.ends_with("_bytes") && name != ALLOWANCE {
            rows.push(Memory { name: name.to_owned(), current: Some(field.as_number()?), peak: None });
        }
    }
    Ok(rows)
}
