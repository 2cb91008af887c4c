//! What a device was measured to do at best: what ops stand beside.

use crate::graph::Ceiling;
use serde::Serialize;

/// The best rates that were measured on a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Peaks(Vec<Ceiling>);

impl Peaks {
    /// Of measures; `None` where there are none.
    pub fn new(ceilings: Vec<Ceiling>) -> Option<Self> {
        (!ceilings.is_empty()).then_some(Self(ceilings))
    }

    fn best(&self, unit: &str, what: impl Fn(&str) -> bool) -> Option<f64> {
        let rates = self.0.iter().filter(|ceiling| ceiling.unit == unit && what(ceiling.what));
        rates.map(|ceiling| ceiling.best).reduce(f64::max).filter(|&best| best > 0.0)
    }

    /// Bytes that a kernel can read in a second, in GB.
    pub fn gb_per_s(&self) -> Option<f64> {
        self.best("GB/s", |what| what == "streaming read")
    }

    /// Floating-point operations in a second, in 10⁹, of whatever kind does most.
    pub fn gflop_per_s(&self) -> Option<f64> {
        self.best("GFLOP/s", |_| true)
    }

    /// How near an op comes to the one of the two limits that it is nearer to.
    pub fn share(&self, gb_per_s: f64, gflop_per_s: f64) -> Option<f64> {
        let shares = [self.gb_per_s().map(|peak| gb_per_s / peak), self.gflop_per_s().map(|peak| gflop_per_s / peak)];
        shares.into_iter().flatten().reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_is_judged_by_the_limit_that_it_is_nearer_to() {
        let ceiling = |what, best, unit| Ceiling { what, best, median: best, worst: best, runs: 1, unit };
        let peaks = Peaks::new(vec![
            ceiling("streaming read", 100.0, "GB/s"),
            ceiling("copy", 160.0, "GB/s"),
            ceiling("f32 multiply-adds", 1000.0, "GFLOP/s"),
            ceiling("f16 multiply-adds", 2000.0, "GFLOP/s"),
            ceiling("empty dispatch", 3.0, "µs"),
        ])
        .unwrap();
        assert_eq!(peaks.share(50.0, 100.0), Some(0.5));
        assert_eq!(peaks.share(10.0, 1500.0), Some(0.75));
        assert_eq!(Peaks::new(Vec::new()), None);
    }
}
