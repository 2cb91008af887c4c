//! `--device`: which adapter, and the list of those there are.

use super::ending::Ending;
use super::output::Output;
use ffai::gpu::{AdapterChoice, AdapterLine, adapters};
use ffai::graph::ExecuteError;

/// What was asked of `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// Show what there is.
    List,
    /// Use one.
    Use(AdapterChoice),
}

impl DeviceChoice {
    /// `list`, a position in that list, or a part of a name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("expected `list`, a number or a part of a name".to_owned()),
            "list" => Ok(Self::List),
            text => Ok(Self::Use(match text.parse() {
                Ok(index) => AdapterChoice::Index(index),
                Err(_) => AdapterChoice::Named(text.to_owned()),
            })),
        }
    }
}

/// Prints the adapters, best first.
pub(crate) fn list(output: &mut Output) -> Result<(), Ending> {
    let found = adapters();
    if found.is_empty() {
        return Err(ffai::Error::from(ExecuteError::NoAdapter).into());
    }
    let line = |AdapterLine { index, name, backend, kind, driver }: &AdapterLine| {
        let driver = if driver.is_empty() { String::new() } else { format!(", {driver}") };
        format!("{index}: {name} ({backend}, {kind}{driver})\n")
    };
    output.text(&found.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions_and_words_are_names() {
        assert_eq!(DeviceChoice::parse("list"), Ok(DeviceChoice::List));
        assert_eq!(DeviceChoice::parse("1"), Ok(DeviceChoice::Use(AdapterChoice::Index(1))));
        assert_eq!(DeviceChoice::parse("m1 max"), Ok(DeviceChoice::Use(AdapterChoice::Named("m1 max".to_owned()))));
        assert!(DeviceChoice::parse(" ").is_err());
    }
}
