//! The rules of the Trace Event format, in its array form.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One event.
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) phase: String,
    /// Microseconds.
    pub(crate) time: f64,
    pub(crate) lane: u64,
    pub(crate) arguments: Value,
}

/// The events of a finished file that keeps the rules; what breaks them otherwise.
pub(crate) fn read(text: &str) -> Result<Vec<Event>, String> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let events = values.iter().map(event).collect::<Result<Vec<Event>, String>>()?;
    let processes: BTreeSet<String> = values.iter().map(|value| value["pid"].to_string()).collect();
    expect(processes.len() == 1, || format!("processes {processes:?}"))?;
    lanes(&events)?;
    Ok(events)
}

/// As [`read`], of a file whose end is missing: readers leave out the event that broke off.
pub(crate) fn read_broken_off(text: &str) -> Result<usize, String> {
    let whole = text.lines().skip(1).map(|line| serde_json::from_str::<Value>(line.trim_end_matches(',')));
    let whole: Vec<Value> = whole.map_while(Result::ok).collect();
    whole.iter().map(event).collect::<Result<Vec<Event>, String>>()?;
    expect(text.lines().count() <= whole.len() + 2, || format!("only {} events of all lines", whole.len()))?;
    Ok(whole.len())
}

fn expect(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// Fields that every event has, and those that its phase wants.
fn event(value: &Value) -> Result<Event, String> {
    let missing = |field: &str| format!("no {field} in {value}");
    let text = |field: &str| value[field].as_str().map(str::to_owned).ok_or_else(|| missing(field));
    let whole = |field: &str| value[field].as_u64().ok_or_else(|| missing(field));
    let time = value["ts"].as_f64().filter(|time| *time >= 0.0).ok_or_else(|| missing("ts"))?;
    let (name, phase, lane) = (text("name")?, text("ph")?, whole("tid")?);
    whole("pid")?;
    expect(lane != 0, || format!("lane 0 in {value}"))?;
    let arguments = value["args"].clone();
    let fits = match phase.as_str() {
        "B" | "E" => true,
        "i" => matches!(value["s"].as_str(), Some("t" | "p")),
        "C" => arguments["value"].is_number(),
        "M" => match name.as_str() {
            "process_name" | "thread_name" => arguments["name"].is_string(),
            "thread_sort_index" => arguments["sort_index"].is_u64(),
            _ => false,
        },
        _ => false,
    };
    expect(fits, || format!("not an event of its phase: {value}"))?;
    Ok(Event { name, phase, time, lane, arguments })
}

/// Per lane: a name before anything else, a clock that never goes back, ends that match the innermost beginning, nothing left open.
fn lanes(events: &[Event]) -> Result<(), String> {
    let mut named = BTreeSet::new();
    let mut clocks: BTreeMap<u64, f64> = BTreeMap::new();
    let mut open: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (index, Event { name, phase, time, lane, .. }) in events.iter().enumerate() {
        let place = || format!("event {index}, {phase} {name:?} of lane {lane} at {time}");
        if phase == "M" {
            named.extend((name == "thread_name").then_some(*lane));
            continue;
        }
        expect(named.contains(lane), || format!("{}: the lane has no name", place()))?;
        let clock = clocks.entry(*lane).or_default();
        expect(*time >= *clock, || format!("{}: the clock was at {clock}", place()))?;
        *clock = *time;
        let open = open.entry(*lane).or_default();
        match phase.as_str() {
            "B" => open.push(name),
            "E" => {
                let begun = open.pop();
                expect(begun == Some(name), || format!("{}: it ends {begun:?}", place()))?;
            }
            _ => {}
        }
    }
    open.retain(|_, open| !open.is_empty());
    expect(open.is_empty(), || format!("left open: {open:?}"))
}
