//! The text, and the most important numbers beside it.

use super::super::cells;
use super::super::ring::Ring;
use super::super::state::State;
use super::{latency, memory, pane, put, say, scrolled, top};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    if area.width >= 64 && area.height >= 14 {
        let beside = (area.width / 3).clamp(30, 52);
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(beside)]).areas(area);
        scrolled::text(buffer, left, state);
        return numbers(buffer, right, state);
    }
    let mut rest = area;
    if area.height >= 3 {
        let line = top(&mut rest);
        put(buffer, line, (0, 0), &cells::left(&brief(state), usize::from(line.width)), state.look.aside());
    }
    scrolled::text(buffer, rest, state);
}

fn numbers(buffer: &mut Buffer, area: Rect, state: &State) {
    let rows = [Constraint::Length(4), Constraint::Length(5), Constraint::Fill(1), Constraint::Fill(1)];
    let [rate, cache, times, bytes] = Layout::vertical(rows).areas(area);
    throughput(buffer, rate, state);
    cached(buffer, cache, state);
    latency::brief(buffer, times, state);
    memory::brief(buffer, bytes, state);
}

/// Throughput and cache in one line, as far as they are known.
fn brief(state: &State) -> String {
    let rate = state.latest.tokens_per_second.map(|rate| format!("{} tok/s", cells::number(rate, 1)));
    let known = [rate, cache(state)].into_iter().flatten().collect::<Vec<_>>();
    if known.is_empty() { "no token yet".to_owned() } else { known.join("  kv ") }
}

fn cache(state: &State) -> Option<String> {
    let used = cells::bytes(state.latest.kv_used_bytes?);
    Some(match state.latest.kv_allocated_bytes {
        Some(room) => format!("{used} of {}", cells::bytes(room)),
        None => used,
    })
}

fn throughput(buffer: &mut Buffer, area: Rect, state: &State) {
    let inside = pane(buffer, state.look, "throughput", area);
    let Some(rate) = state.latest.tokens_per_second else {
        let known = if state.tokens == 0 { "no token yet" } else { "one token so far" };
        return say(buffer, inside, known, state.look.aside());
    };
    let average = state.rates.average().map_or(String::new(), |rate| format!(", average {}", cells::number(rate, 1)));
    put(buffer, inside, (0, 0), &format!("{} tok/s{average}", cells::number(rate, 1)), Style::new());
    sparkline(buffer, inside, 1, &state.rates, state);
}

fn cached(buffer: &mut Buffer, area: Rect, state: &State) {
    let inside = pane(buffer, state.look, "keys and values", area);
    let Some(cache) = cache(state) else {
        return say(buffer, inside, "nothing is kept yet", state.look.aside());
    };
    put(buffer, inside, (0, 0), &cache, Style::new());
    sparkline(buffer, inside, 1, &state.cache, state);
    if let Some(bytes) = state.latest.device_bytes {
        put(buffer, inside, (0, 2), &format!("{} on the device", cells::bytes(bytes)), state.look.aside());
    }
}

fn sparkline(buffer: &mut Buffer, area: Rect, row: usize, values: &Ring, state: &State) {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let line = values.latest(usize::from(area.width)).into_iter();
    let line: String = line.map(|thousandths| HEIGHTS[(thousandths as usize * 7).div_ceil(1000).min(7)]).collect();
    put(buffer, area, (0, row), &line, state.look.bar());
}
