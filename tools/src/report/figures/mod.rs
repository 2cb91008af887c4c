//! The figures of a page: which rows each shows, and how.

mod memory;
mod needles;
mod quality;
mod time;

use super::chart::{self, Axes, Mark};
use super::entries::Entry;
use super::legend::{Legend, Look};
use crate::failure::Failure;
use serde::Serialize;

/// A drawing with its words.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) heading: String,
    pub(super) caption: String,
    pub(super) svg: String,
    /// What the colours stand for, each with a row that it leads to.
    pub(super) legend: Vec<Key>,
}

/// A line of a legend.
#[derive(Debug, Serialize)]
pub(super) struct Key {
    pub(super) text: String,
    /// The point in SVG, around (10, 10).
    pub(super) point: String,
    pub(super) anchor: String,
}

/// Figures under one heading.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) figures: Vec<Figure>,
}

/// Every section that has anything to show.
pub(super) fn sections(entries: &[Entry]) -> Result<Vec<Section>, Failure> {
    let legend = Legend::of(entries.iter().map(Entry::label));
    let mut sections = Vec::new();
    for (title, figures) in [
        ("Speed over time", time::figures(entries, &legend)?),
        ("Speed against quality", quality::figures(entries, &legend)?),
        ("Memory", memory::figures(entries)?),
        ("Needles in haystacks", needles::figures(entries)?),
    ] {
        if !figures.is_empty() {
            sections.push(Section { title, figures });
        }
    }
    Ok(sections)
}

impl Key {
    fn new(text: &str, look: Look, anchor: &str) -> Self {
        Self { text: text.to_owned(), point: look.point(10, 10), anchor: anchor.to_owned() }
    }
}

/// Entries by a name, in the order in which names first occur in the alphabet; of each name in order of time.
fn grouped<'a, K: Ord>(
    entries: impl Iterator<Item = &'a Entry>,
    key: impl Fn(&Entry) -> K,
) -> Vec<(K, Vec<&'a Entry>)> {
    let mut groups = std::collections::BTreeMap::<K, Vec<&Entry>>::new();
    for entry in entries {
        groups.entry(key(entry)).or_default().push(entry);
    }
    groups.into_iter().collect()
}
