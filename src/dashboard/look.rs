//! Colours and weights.

use ratatui::style::{Color, Modifier, Style};
use std::ffi::OsStr;

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether there are colours. Without, there are bold, dim and reversed text.
    pub colours: bool,
}

impl Look {
    /// As the environment has it: `NO_COLOR` that is not empty and terminals without colours have none.
    pub fn from_environment(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let none = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let plain =
            variable("TERM").is_none_or(|term| term == OsStr::new("dumb") || term.to_string_lossy().starts_with("vt1"));
        Self { colours: !none && !plain }
    }

    fn coloured(self, colour: Color, otherwise: Modifier) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new().add_modifier(otherwise) }
    }

    pub(super) fn border(self) -> Style {
        self.coloured(Color::DarkGray, Modifier::DIM)
    }

    pub(super) fn title(self) -> Style {
        self.coloured(Color::Cyan, Modifier::BOLD)
    }

    pub(super) fn bar(self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    /// What is shown beside what matters.
    pub(super) fn aside(self) -> Style {
        self.coloured(Color::DarkGray, Modifier::DIM)
    }

    /// What was asked, as opposed to what was answered.
    pub(super) fn said(self) -> Style {
        self.coloured(Color::Yellow, Modifier::BOLD)
    }

    pub(super) fn thought(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_have_them_and_users_who_want_them() {
        let look = |no_color: Option<&str>, term: Option<&str>| {
            let (no_color, term) = (no_color.map(Into::into), term.map(Into::into));
            Look::from_environment(|name| if name == "TERM" { term.clone() } else { no_color.clone() }).colours
        };
        assert!(look(None, Some("xterm-256color")) && look(Some(""), Some("screen")));
        assert!(
            !look(Some("1"), Some("xterm"))
                && !look(None, Some("dumb"))
                && !look(None, None)
                && !look(None, Some("vt100"))
        );
    }
}
