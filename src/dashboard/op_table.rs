//! Ops, sorted.

use crate::measure::OpRow;
use std::cell::Cell;

/// Ops that are taken of an update.
const MOST_OPS: usize = 10_000;

/// What ops are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Time of all calls.
    Time,
    /// Share of the time of all ops.
    Share,
    /// Name.
    Name,
    /// Number of calls.
    Calls,
}

/// Ops, and how they are shown.
#[derive(Clone, Debug)]
pub(super) struct Ops {
    pub(super) rows: Vec<OpRow>,
    pub(super) sort: Sort,
    /// The other way round.
    pub(super) reversed: bool,
    pub(super) selected: usize,
    pub(super) window: Cell<(usize, usize)>,
}

impl Default for Ops {
    fn default() -> Self {
        Self { rows: Vec::new(), sort: Sort::Time, reversed: false, selected: 0, window: Cell::new((0, 20)) }
    }
}

impl Ops {
    /// Takes new ops, in the order that was chosen.
    pub(super) fn set(&mut self, mut rows: Vec<OpRow>) {
        rows.truncate(MOST_OPS);
        self.rows = rows;
        self.sort();
        self.walk(0);
    }

    /// Sorts by `sort`; the second time in a row, the other way round.
    pub(super) fn sort_by(&mut self, sort: Sort) {
        self.reversed = self.sort == sort && !self.reversed;
        self.sort = sort;
        self.sort();
    }

    fn sort(&mut self) {
        let (sort, reversed) = (self.sort, self.reversed);
        self.rows.sort_by(|a, b| {
            // The largest first, names in their order.
            let order = match sort {
                Sort::Time => b.total_ms.total_cmp(&a.total_ms),
                Sort::Share => b.share.total_cmp(&a.share),
                Sort::Calls => b.calls.cmp(&a.calls),
                Sort::Name => a.name.cmp(&b.name),
            };
            let order = if reversed { order.reverse() } else { order };
            order.then_with(|| a.name.cmp(&b.name))
        });
    }

    pub(super) fn walk(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by).min(self.rows.len().saturating_sub(1));
    }

    pub(super) fn page(&mut self, by: isize) {
        let rows = self.window.get().1.saturating_sub(1).max(1);
        self.walk(by * isize::try_from(rows).unwrap_or(1));
    }
}
