//! Whatever happens, in whatever order, at whatever size: it draws, and takes no more memory than it may.

use super::{drawn, sample};
use ffai::dashboard::{Action, Finished, Look, Mode, State, Token, Update, View};
use ffai::measure::{LatencyRow, MemoryRow, OpRow};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn number(&mut self) -> f64 {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e-300, 1e300, f64::MAX, 123_456.789];
        match self.below(3) {
            0 => odd[self.below(odd.len() as u64) as usize],
            _ => self.below(1_000_000) as f64 / 1000.0,
        }
    }

    fn text(&mut self) -> String {
        let pieces = [
            "word ",
            "日本",
            "\n",
            "\t",
            "e\u{301}",
            "👩‍👩‍👧",
            "\u{1b}[2J",
            "\r",
            "\u{202e}",
            "\u{200b}",
            "x",
            "",
            "\u{0}",
            "ﷺ",
        ];
        let count = if self.below(50) == 0 { 3000 } else { self.below(12) };
        (0..count).map(|_| pieces[self.below(pieces.len() as u64) as usize]).collect()
    }

    fn key(&mut self) -> KeyEvent {
        let named = [
            KeyCode::Enter,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Esc,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::F(1),
            KeyCode::F(5),
            KeyCode::F(12),
            KeyCode::Null,
            KeyCode::Insert,
        ];
        let code = match self.below(3) {
            0 => named[self.below(named.len() as u64) as usize],
            1 => KeyCode::Char(b"12345 jkltsncfpxyiq\\"[self.below(20) as usize] as char),
            _ => KeyCode::Char(['日', 'é', '\u{301}', '👩', 'a', '9'][self.below(6) as usize]),
        };
        let modifiers = match self.below(8) {
            0 => KeyModifiers::CONTROL,
            1 => KeyModifiers::ALT,
            _ => KeyModifiers::NONE,
        };
        let kind = if self.below(10) == 0 { KeyEventKind::Release } else { KeyEventKind::Press };
        KeyEvent::new_with_kind(code, modifiers, kind)
    }

    fn update(&mut self) -> Update {
        let rows = self.below(30);
        match self.below(12) {
            0 => Update::Status(self.text()),
            1 | 2 => Update::Text(self.text()),
            3 => Update::Thought(self.text()),
            4 => Update::Token(self.token()),
            5 => Update::Kept(self.token()),
            6 => Update::Latency((0..rows).map(|_| self.latency()).collect()),
            7 => Update::Memory((0..rows).map(|_| self.memory()).collect()),
            8 => Update::Ops((0..rows).map(|_| self.op()).collect()),
            9 => Update::Log(self.text()),
            10 if rows < 15 => Update::Begun,
            10 => Update::Prompt,
            _ => Update::Finished(Finished { reason: self.text(), tokens: rows as usize, seconds: self.number() }),
        }
    }

    fn token(&mut self) -> Token {
        let some = self.below(2) == 0;
        Token {
            tokens_per_second: some.then(|| self.number()),
            kv_used_bytes: some.then(|| self.next() << 20),
            kv_allocated_bytes: some.then_some(u64::MAX),
            device_bytes: some.then(|| self.next()),
        }
    }

    fn latency(&mut self) -> LatencyRow {
        let (last_ms, average_ms) = (self.number(), self.number());
        LatencyRow { label: self.text(), last_ms, average_ms, level: self.below(6) as u8 * self.below(50) as u8 }
    }

    fn memory(&mut self) -> MemoryRow {
        let (current_total_mb, peak_total_mb) = (self.number(), self.number());
        let show_absolute = self.below(2) == 0;
        let (label, level) = (self.text(), self.below(4) as u8);
        MemoryRow { label, level, current_total_mb, peak_total_mb, show_absolute, ..MemoryRow::default() }
    }

    fn op(&mut self) -> OpRow {
        let (total_ms, avg_us, share) = (self.number(), self.number(), self.number());
        let peak_share = (self.below(2) == 0).then(|| self.number());
        OpRow {
            name: self.text(),
            calls: self.next(),
            total_ms,
            avg_us,
            share,
            bytes: 3,
            flops: 5,
            gb_per_s: share,
            gflop_per_s: share,
            peak_share,
        }
    }
}

#[test]
fn nothing_that_happens_makes_it_panic() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mode = if seed % 2 == 0 { Mode::Generate } else { Mode::Chat };
        let mut state = State::new(&random.text(), mode, Look { colours: seed % 3 == 0 });
        for _ in 0..250 {
            match random.below(3) {
                0 => state.apply(random.update()),
                1 => drop(state.key(random.key())),
                _ => {
                    let most = [1, 6, 30, 100, 300][random.below(5) as usize];
                    drawn(&state, 1 + random.below(most) as u16, 1 + random.below(most / 2 + 1) as u16);
                }
            }
        }
    }
}

#[test]
fn every_size_up_to_that_of_a_small_window_is_drawn() {
    let mut states = [sample::running(), sample::chat(), sample::empty(Mode::Generate)];
    for state in &mut states {
        super::press(state, &[KeyCode::Esc]);
        for key in "12345".chars() {
            super::press(state, &[KeyCode::Char(key)]);
            for (columns, rows) in (1..=40).flat_map(|columns| (1..=16).map(move |rows| (columns, rows))) {
                drawn(state, columns, rows);
            }
        }
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut state = sample::empty(Mode::Generate);
    let text = "some words and a newline\n".repeat(4000);
    for _ in 0..400 {
        state.apply(Update::Text(text.clone()));
        state.apply(Update::Thought("\n".repeat(10_000)));
        state.apply(Update::Log(text.clone()));
        state.apply(Update::Token(Token { tokens_per_second: Some(1.0), ..Token::default() }));
    }
    assert!(state.memory_bytes() <= 18 << 20, "{}", state.memory_bytes());
    drawn(&state, 80, 24);
}

#[test]
fn keys_ask_for_what_they_say() {
    let mut state = sample::running();
    let key = |state: &mut State, c| state.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    assert_eq!(key(&mut state, 'p'), Some(Action::ToggleProfiling(false)));
    assert!(!state.profiling());
    assert_eq!(key(&mut state, 'y'), Some(Action::Copy(sample::STORY.to_owned())));
    assert_eq!(key(&mut state, 'x'), Some(Action::Cancel));
    assert_eq!((key(&mut state, 'l'), state.view()), (None, View::Logs));
    assert_eq!(key(&mut state, 'q'), Some(Action::Quit));
    assert_eq!(state.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Action::Interrupt));
    assert_eq!(key(&mut sample::finished(), 'x'), None, "there is nothing to stop");
}

#[test]
fn in_a_chat_letters_are_typed_and_control_c_stops_the_reply_first() {
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    let mut state = sample::chat();
    super::press(&mut state, &"quit".chars().map(KeyCode::Char).collect::<Vec<_>>());
    assert_eq!(state.key(control('d')), None, "there is a line");
    assert_eq!(state.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)), Some(Action::Submit("quit".to_owned())));
    // What is typed while a reply comes waits for its turn.
    super::press(&mut state, &[KeyCode::Char('q'), KeyCode::Enter]);
    state.apply(Update::Begun);
    assert_eq!(state.key(control('c')), Some(Action::Cancel));
    state.apply(Update::Prompt);
    assert_eq!(state.key(control('c')), None, "takes back what was typed");
    assert_eq!(state.key(control('d')), Some(Action::Quit));
    assert_eq!(state.key(control('c')), Some(Action::Interrupt));
    assert!(state.text().contains("> quit\n"));
}
