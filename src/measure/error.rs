//! How far a result is from its reference.

/// The distance of two vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Σ(got − want)² / Σ want²; squared, so 1e-6 means 0.1 % RMS. Infinite where anything is not finite.
    pub nmse: f64,
    /// Largest |got − want|, relative to the root mean square of `want`.
    pub worst: f64,
    /// Where the largest is.
    pub worst_index: usize,
}

/// Compares `got` with `want`. Equal zeros are 0 apart; a NaN on either side is infinitely far.
pub fn difference(got: &[f32], want: &[f32]) -> Difference {
    assert_eq!(got.len(), want.len(), "results of different lengths");
    let (mut error, mut power, mut worst, mut worst_index) = (0.0, 0.0, 0.0, 0);
    for (index, (&got, &want)) in got.iter().zip(want).enumerate() {
        if !got.is_finite() || !want.is_finite() {
            return Difference { nmse: f64::INFINITY, worst: f64::INFINITY, worst_index: index };
        }
        let distance = (f64::from(got) - f64::from(want)).abs();
        error += distance * distance;
        power += f64::from(want) * f64::from(want);
        if distance > worst {
            (worst, worst_index) = (distance, index);
        }
    }
    let relative = |value: f64, scale: f64| if value == 0.0 { 0.0 } else { value / scale };
    let rms = (power / want.len().max(1) as f64).sqrt();
    Difference { nmse: relative(error, power), worst: relative(worst, rms), worst_index }
}
