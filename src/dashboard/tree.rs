//! Rows that lie in others: which are folded, which is selected.

use crate::measure::{LatencyRow, MemoryRow};
use std::cell::Cell;
use std::collections::HashSet;

/// Rows that are taken of an update.
const MOST_ROWS: usize = 10_000;
/// Folds that are remembered.
const MOST_FOLDS: usize = 10_000;

/// A row with a name and a depth.
pub(super) trait Row {
    fn label(&self) -> &str;
    fn level(&self) -> u8;
}

impl Row for LatencyRow {
    fn label(&self) -> &str {
        &self.label
    }
    fn level(&self) -> u8 {
        self.level
    }
}

impl Row for MemoryRow {
    fn label(&self) -> &str {
        &self.label
    }
    fn level(&self) -> u8 {
        self.level
    }
}

/// A tree of rows, each behind the one that it lies in.
#[derive(Clone, Debug)]
pub(super) struct Tree<R> {
    rows: Vec<R>,
    /// The labels from the outermost row down to each row.
    paths: Vec<String>,
    /// Paths whose rows are not folded as they are at first: rows of blocks are, those around them are not.
    turned: HashSet<String>,
    selected: usize,
    /// The first visible row that was drawn, and how many were.
    window: Cell<(usize, usize)>,
}

impl<R> Default for Tree<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), paths: Vec::new(), turned: HashSet::new(), selected: 0, window: Cell::new((0, 20)) }
    }
}

/// A row as it is drawn.
pub(super) struct Shown<'t, R> {
    pub(super) row: &'t R,
    /// Whether rows lie in it, and whether they are hidden.
    pub(super) fold: Option<bool>,
    pub(super) selected: bool,
}

impl<R: Row> Tree<R> {
    /// Takes new rows; what was folded and selected stays so, by its labels.
    pub(super) fn set(&mut self, mut rows: Vec<R>) {
        rows.truncate(MOST_ROWS);
        let selected = self.paths.get(self.selected).cloned();
        let mut path: Vec<&str> = Vec::new();
        self.paths.clear();
        for row in &rows {
            path.truncate(usize::from(row.level()));
            path.push(row.label());
            self.paths.push(path.join("\u{1f}"));
        }
        self.rows = rows;
        let again = selected.and_then(|selected| self.paths.iter().position(|path| *path == selected));
        self.selected = again.unwrap_or(self.selected.min(self.rows.len().saturating_sub(1)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn rows(&self) -> &[R] {
        &self.rows
    }

    /// The row that is selected.
    pub(super) fn selected(&self) -> Option<&R> {
        self.rows.get(self.selected)
    }

    fn has_children(&self, index: usize) -> bool {
        self.rows.get(index + 1).is_some_and(|next| next.level() > self.rows[index].level())
    }

    fn folded(&self, index: usize) -> bool {
        self.has_children(index) && ((self.rows[index].level() > 0) != self.turned.contains(&self.paths[index]))
    }

    /// Indices of rows that no folded row hides.
    fn visible(&self) -> Vec<usize> {
        let mut hidden_above: Option<u8> = None;
        let mut visible = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            if hidden_above.is_some_and(|level| row.level() > level) {
                continue;
            }
            hidden_above = self.folded(index).then(|| row.level());
            visible.push(index);
        }
        visible
    }

    /// Where in `visible` the selected row is, or the row that hides it.
    fn position(&self, visible: &[usize]) -> usize {
        visible.iter().rposition(|&index| index <= self.selected).unwrap_or(0)
    }

    /// The rows that a window of `count` rows shows; the selected one is among them.
    pub(super) fn shown(&self, count: usize) -> Vec<Shown<'_, R>> {
        let visible = self.visible();
        let at = self.position(&visible);
        let first = window(self.window.get().0, count, at, visible.len());
        self.window.set((first, count));
        let shown = visible.iter().enumerate().skip(first).take(count);
        let row = |(place, &index): (usize, &usize)| Shown {
            row: &self.rows[index],
            fold: self.has_children(index).then(|| self.folded(index)),
            selected: place == at,
        };
        shown.map(row).collect()
    }

    /// Selects another row.
    pub(super) fn walk(&mut self, by: isize) {
        let visible = self.visible();
        let at = self.position(&visible).saturating_add_signed(by).min(visible.len().saturating_sub(1));
        self.selected = visible.get(at).copied().unwrap_or(0);
    }

    /// Selects by windows.
    pub(super) fn page(&mut self, by: isize) {
        let rows = self.window.get().1.saturating_sub(1).max(1);
        self.walk(by * isize::try_from(rows).unwrap_or(1));
    }

    /// Folds the selected row, or unfolds it.
    pub(super) fn turn(&mut self) {
        if self.has_children(self.selected) {
            self.turn_row(self.selected);
        }
    }

    fn turn_row(&mut self, index: usize) {
        if self.turned.remove(&self.paths[index]) {
            return;
        }
        if self.turned.len() >= MOST_FOLDS {
            self.turned.clear();
        }
        self.turned.insert(self.paths[index].clone());
    }

    /// Unfolds the selected row.
    pub(super) fn unfold(&mut self) {
        if self.selected < self.rows.len() && self.folded(self.selected) {
            self.turn_row(self.selected);
        }
    }

    /// Folds the selected row; where there is nothing to fold, selects the row that it lies in.
    pub(super) fn fold(&mut self) {
        let Some(row) = self.rows.get(self.selected) else { return };
        if self.has_children(self.selected) && !self.folded(self.selected) {
            return self.turn_row(self.selected);
        }
        let level = row.level();
        if let Some(parent) = self.rows[..self.selected].iter().rposition(|row| row.level() < level) {
            self.selected = parent;
        }
    }

    /// Folds all rows, or unfolds all where none is left to fold.
    pub(super) fn turn_all(&mut self) {
        let parents: Vec<usize> = (0..self.rows.len()).filter(|&index| self.has_children(index)).collect();
        let wanted = parents.iter().any(|&index| !self.folded(index));
        for index in parents {
            if self.folded(index) != wanted {
                self.turn_row(index);
            }
        }
    }
}

/// The first of `all` rows that a window of `count` shows, as near to `first` as row `at` lets it be.
pub(super) fn window(first: usize, count: usize, at: usize, all: usize) -> usize {
    let first = first.min(at).max((at + 1).saturating_sub(count));
    first.min(all.saturating_sub(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(rows: &[(&str, u8)]) -> Tree<LatencyRow> {
        let mut tree = Tree::default();
        tree.set(latencies(rows));
        tree
    }

    fn latencies(rows: &[(&str, u8)]) -> Vec<LatencyRow> {
        let row =
            |&(label, level): &(&str, u8)| LatencyRow { label: label.to_owned(), last_ms: 1.0, average_ms: 1.0, level };
        rows.iter().map(row).collect()
    }

    fn shown(tree: &Tree<LatencyRow>, count: usize) -> String {
        let mark = |row: &Shown<'_, LatencyRow>| {
            if row.selected { format!("[{}]", row.row.label) } else { row.row.label.clone() }
        };
        tree.shown(count).iter().map(mark).collect::<Vec<_>>().join(" ")
    }

    const ROWS: [(&str, u8); 7] =
        [("step", 0), ("b0", 1), ("attention", 2), ("mlp", 2), ("b1", 1), ("attention", 2), ("output", 0)];

    #[test]
    fn blocks_are_folded_at_first_and_unfold() {
        let mut tree = tree(&ROWS);
        assert_eq!(shown(&tree, 9), "[step] b0 b1 output");
        tree.walk(1);
        tree.unfold();
        assert_eq!(shown(&tree, 9), "step [b0] attention mlp b1 output");
        tree.walk(2);
        tree.fold();
        assert_eq!(shown(&tree, 9), "step [b0] attention mlp b1 output");
        tree.fold();
        tree.fold();
        tree.turn();
        assert_eq!(shown(&tree, 9), "[step] output");
        tree.turn_all();
        assert_eq!(shown(&tree, 9), "[step] b0 attention mlp b1 attention output");
        tree.turn_all();
        assert_eq!(shown(&tree, 9), "[step] output");
    }

    #[test]
    fn folds_and_selection_outlive_an_update() {
        let mut tree = tree(&ROWS);
        tree.walk(2);
        tree.turn();
        let mut more = ROWS.to_vec();
        more.insert(0, ("embedding", 0));
        tree.set(latencies(&more));
        assert_eq!(shown(&tree, 9), "embedding step b0 [b1] attention output");
        tree.set(latencies(&ROWS[..2]));
        assert_eq!(shown(&tree, 9), "step [b0]");
        tree.set(Vec::new());
        tree.turn();
        tree.fold();
        tree.unfold();
        tree.walk(-1);
        assert_eq!(shown(&tree, 9), "");
    }

    #[test]
    fn the_selected_row_is_always_in_the_window() {
        let mut tree = tree(&[("a", 0), ("b", 0), ("c", 0), ("d", 0), ("e", 0)]);
        tree.walk(3);
        assert_eq!(shown(&tree, 2), "c [d]");
        tree.walk(-1);
        assert_eq!(shown(&tree, 2), "[c] d");
        tree.page(-5);
        assert_eq!((shown(&tree, 2), shown(&tree, 0)), ("[a] b".to_owned(), String::new()));
    }
}
