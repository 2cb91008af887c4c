//! What makers say of their chips.

use serde::Serialize;

/// A figure that a maker states.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Known {
    /// The chip, as its adapter is named.
    pub chip: &'static str,
    /// Memory bandwidth in GB/s. Some chips were sold with two: the lower comes first.
    pub bandwidth: &'static [f64],
}

/// Memory bandwidths that Apple states in the technical specifications of the machines with each chip.
const APPLE: &[Known] = &[
    Known { chip: "Apple M1", bandwidth: &[68.25] },
    Known { chip: "Apple M1 Pro", bandwidth: &[200.0] },
    Known { chip: "Apple M1 Max", bandwidth: &[400.0] },
    Known { chip: "Apple M1 Ultra", bandwidth: &[800.0] },
    Known { chip: "Apple M2", bandwidth: &[100.0] },
    Known { chip: "Apple M2 Pro", bandwidth: &[200.0] },
    Known { chip: "Apple M2 Max", bandwidth: &[400.0] },
    Known { chip: "Apple M2 Ultra", bandwidth: &[800.0] },
    Known { chip: "Apple M3", bandwidth: &[100.0] },
    Known { chip: "Apple M3 Pro", bandwidth: &[150.0] },
    Known { chip: "Apple M3 Max", bandwidth: &[300.0, 400.0] },
    Known { chip: "Apple M3 Ultra", bandwidth: &[819.0] },
    Known { chip: "Apple M4", bandwidth: &[120.0] },
    Known { chip: "Apple M4 Pro", bandwidth: &[273.0] },
    Known { chip: "Apple M4 Max", bandwidth: &[410.0, 546.0] },
    Known { chip: "Apple M5", bandwidth: &[153.0] },
];

/// What is known of the chip that an adapter is named after.
pub fn known(adapter: &str) -> Option<&'static Known> {
    APPLE.iter().find(|known| known.chip == adapter.trim())
}

/// Every chip of the table.
pub fn chips() -> &'static [Known] {
    APPLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_is_found_by_its_whole_name() {
        assert_eq!(known("Apple M3 Max").map(|known| known.bandwidth), Some(&[300.0, 400.0] as &[f64]));
        assert_eq!(known("Apple M3").map(|known| known.bandwidth), Some(&[100.0] as &[f64]));
        assert_eq!(known("Apple M33"), None);
        assert_eq!(known("llvmpipe"), None);
    }
}
