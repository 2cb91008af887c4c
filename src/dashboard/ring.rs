//! The latest values of something, as sparklines show them.

use std::collections::VecDeque;

/// Values that are kept: more than terminals are wide.
const KEPT: usize = 512;

/// The latest values, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring(VecDeque<f64>);

impl Ring {
    /// Adds a value; what is no number is left out.
    pub(super) fn push(&mut self, value: f64) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The latest `count`, as parts of the largest among them in thousandths.
    pub(super) fn latest(&self, count: usize) -> Vec<u64> {
        let from = self.0.len().saturating_sub(count);
        let most = self.0.range(from..).copied().fold(f64::MIN_POSITIVE, f64::max);
        self.0.range(from..).map(|value| (value / most * 1000.0) as u64).collect()
    }

    /// Of all that are kept.
    pub(super) fn average(&self) -> Option<f64> {
        let sum: f64 = self.0.iter().map(|value| value / self.0.len() as f64).sum();
        (!self.0.is_empty()).then_some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_the_latest_and_forgets_the_rest() {
        let mut ring = Ring::default();
        assert_eq!((ring.average(), ring.latest(3)), (None, vec![]));
        for value in 0..=2 * KEPT {
            ring.push(value as f64);
        }
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            ring.push(odd);
        }
        assert_eq!(ring.0.len(), KEPT);
        assert_eq!(ring.latest(2), [999, 1000]);
        ring.push(0.0);
        assert_eq!(ring.latest(1), [0]);
    }
}
