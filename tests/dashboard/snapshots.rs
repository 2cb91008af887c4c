//! What is drawn, held to files that were looked at. `FFAI_UPDATE_GOLDEN=1` writes them anew.

use super::sample::{chat, empty, finished, running};
use super::{drawn, press, terminal, text};
use ffai::dashboard::{Look, Mode, State, Update, draw};
use ratatui::crossterm::event::KeyCode::{Char, Down, End, Enter, Esc, Home, Left, Right, Tab};
use ratatui::style::{Color, Modifier};
use std::path::PathBuf;

/// Holds what is drawn in `columns` and `rows` to the file of a name.
fn holds(name: &str, state: &State, (columns, rows): (u16, u16)) {
    let found = text(&drawn(state, columns, rows));
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/dashboard/{name}-{columns}x{rows}.txt"));
    if std::env::var_os("FFAI_UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(found == expected, "{}\nexpected:\n{expected}\nfound:\n{found}", file.display());
}

const USUAL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);
const SMALL: (u16, u16) = (20, 5);
const TINY: (u16, u16) = (1, 1);

#[test]
fn every_view_at_every_size() {
    let mut state = running();
    for view in ["overview", "latency", "memory", "ops", "logs"] {
        for size in [USUAL, LARGE, SMALL, TINY] {
            holds(view, &state, size);
        }
        press(&mut state, &[Tab]);
    }
    assert_eq!(text(&drawn(&state, 80, 24)), text(&drawn(&running(), 80, 24)), "the last view leads to the first");
}

#[test]
fn nothing_is_known_yet() {
    for (key, view) in [('1', "overview"), ('2', "latency"), ('3', "memory"), ('4', "ops"), ('5', "logs")] {
        let mut state = empty(Mode::Generate);
        press(&mut state, &[Char(key)]);
        for size in [USUAL, SMALL] {
            holds(&format!("empty-{view}"), &state, size);
        }
    }
}

#[test]
fn trees_unfold() {
    let mut state = running();
    press(&mut state, &[Char('2'), Down, Down, Down, Right, Right]);
    holds("latency-unfolded", &state, USUAL);
    press(&mut state, &[Down, Left, Left]);
    assert_eq!(text(&drawn(&state, 80, 24)).matches("attention").count(), 0, "the block is folded again");
    press(&mut state, &[Char('f')]);
    press(&mut state, &[Char('f'), End]);
    holds("latency-last", &state, (60, 8));
    press(&mut state, &[Char('3'), Char(' '), Char(' '), Down, Enter]);
    holds("memory-unfolded", &state, USUAL);
}

#[test]
fn ops_are_sorted() {
    let mut state = running();
    press(&mut state, &[Char('4'), Char('n')]);
    holds("ops-by-name", &state, USUAL);
    press(&mut state, &[Char('c'), Char('c'), Down]);
    holds("ops-by-calls-reversed", &state, (60, 10));
}

#[test]
fn a_chat_waits_for_a_line() {
    let mut state = chat();
    press(&mut state, &"日本語, please".chars().map(Char).collect::<Vec<_>>());
    for size in [USUAL, SMALL] {
        holds("chat", &state, size);
    }
    press(&mut state, &[Esc]);
    holds("chat-commands", &state, USUAL);
}

#[test]
fn the_text_scrolls_and_follows_after_a_resize() {
    let mut state = finished();
    let long = "word ".repeat(2000) + &"日".repeat(500) + "\n";
    state.apply(Update::Text(long));
    state.apply(Update::Text("The end.".to_owned()));
    let mut terminal = terminal(80, 24);
    terminal.draw(|frame| draw(frame, &state)).unwrap();
    press(&mut state, &[Home]);
    holds("text-scrolled", &state, USUAL);
    terminal.backend_mut().resize(120, 40);
    terminal.draw(|frame| draw(frame, &state)).unwrap();
    assert!(text(terminal.backend().buffer()).contains("Once upon a time"));
    press(&mut state, &[End]);
    terminal.backend_mut().resize(80, 24);
    terminal.draw(|frame| draw(frame, &state)).unwrap();
    let shown = text(terminal.backend().buffer());
    assert!(shown.contains("The end.") && !shown.contains("Once upon"), "{shown}");
    holds("text-long", &state, USUAL);
}

#[test]
fn without_colours_there_are_none() {
    let look = |colours| {
        let mut state = State::new("m", Mode::Chat, Look { colours });
        state.apply(Update::Text("text".to_owned()));
        state.apply(Update::Thought("thought".to_owned()));
        drawn(&state, 80, 24)
    };
    let coloured = |colours| look(colours).content.iter().filter(|cell| cell.fg != Color::Reset).count();
    assert!(coloured(true) > 0 && coloured(false) == 0);
    assert!(look(false).content.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)));
}

#[test]
fn the_picture_in_the_documentation_is_what_is_drawn() {
    let page = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/dashboard.md")).unwrap();
    assert!(page.contains(&text(&drawn(&running(), 80, 24))), "put tests/golden/dashboard/overview-80x24.txt there");
}
