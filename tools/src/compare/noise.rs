//! What two sets of times allow to be said: how much longer one took, and between which bounds.
//!
//! Means are trimmed by a fifth on both sides and their errors follow from the winsorized variance (K. K. Yuen, "The two-sample
//! trimmed t for unequal population variances", Biometrika 61, 1974). A few tokens that waited for something else then move neither
//! the mean nor its error, which they would do to plain means, while at few tokens the bounds stay honest, which bounds from the
//! median absolute deviation or from a bootstrap are not. Times are compared as logarithms: the result is a ratio, and it turns
//! into its inverse when the sides are swapped.

use std::f64::consts::FRAC_PI_2;

/// Share that is trimmed on each side.
const TRIMMED: f64 = 0.2;
/// Groups of fewer values are not trimmed.
const FEWEST_TRIMMED: usize = 8;
/// Fewer values have no error worth the name.
const FEWEST: usize = 3;
/// Degrees of freedom at which Student's t is the normal distribution, to a thousandth.
const MANY: f64 = 1000.0;
/// Steps of an integral, and halvings of a search: far more exact than the data.
const STEPS: usize = 1000;
const HALVINGS: usize = 60;

/// A difference of logarithms, and bounds that hold with the confidence that was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) centre: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A trimmed mean, the square of its error, and degrees of freedom.
struct Trimmed {
    mean: f64,
    square: f64,
    freedom: f64,
}

/// The mean of differences between pairs. `None` below three.
pub(crate) fn of_pairs(differences: Vec<f64>, confidence: f64) -> Option<Interval> {
    trimmed(differences, TRIMMED).map(|mean| interval(&mean, confidence))
}

/// The difference of the means of two groups. `None` where one has less than three.
pub(crate) fn of_groups(before: Vec<f64>, after: Vec<f64>, confidence: f64) -> Option<Interval> {
    // Of a few runs nothing can be spared: trimmed, five would count as three, and bounds would be twice as wide. An outlier widens
    // them then, and never makes a change.
    let share = if before.len().min(after.len()) < FEWEST_TRIMMED { 0.0 } else { TRIMMED };
    let (before, after) = (trimmed(before, share)?, trimmed(after, share)?);
    let square = before.square + after.square;
    // Welch and Satterthwaite. Without any error there is nothing to divide, and nothing to widen.
    let parts = before.square.powi(2) / before.freedom + after.square.powi(2) / after.freedom;
    let freedom = if parts > 0.0 { square.powi(2) / parts } else { before.freedom };
    Some(interval(&Trimmed { mean: after.mean - before.mean, square, freedom }, confidence))
}

/// The difference of two values whose standard errors are known, each from so many observations that it is normal.
pub(super) fn of_estimates(before: (f64, f64), after: (f64, f64), confidence: f64) -> Interval {
    let square = before.1.powi(2) + after.1.powi(2);
    interval(&Trimmed { mean: after.0 - before.0, square, freedom: MANY }, confidence)
}

/// Without the `share` of them that is least, and that which is most.
fn trimmed(mut values: Vec<f64>, share: f64) -> Option<Trimmed> {
    let count = values.len();
    if count < FEWEST {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let cut = (count as f64 * share) as usize;
    let kept = &values[cut..count - cut];
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    // Winsorized: what was cut counts as its nearest neighbour that was kept.
    let (least, most) = (kept[0], kept[kept.len() - 1]);
    let winsorized: Vec<f64> = values.iter().map(|value| value.clamp(least, most)).collect();
    let middle = winsorized.iter().sum::<f64>() / count as f64;
    let squares: f64 = winsorized.iter().map(|value| (value - middle).powi(2)).sum();
    let freedom = kept.len() as f64 - 1.0;
    Some(Trimmed { mean, square: squares / (kept.len() as f64 * freedom), freedom })
}

fn interval(mean: &Trimmed, confidence: f64) -> Interval {
    let reach = mean.square.sqrt() * student((1.0 - confidence) / 2.0, mean.freedom);
    Interval { centre: mean.mean, low: mean.mean - reach, high: mean.mean + reach }
}

/// The value that Student's t exceeds with probability `tail`.
fn student(tail: f64, freedom: f64) -> f64 {
    // With t = √freedom · tan(angle) the density is a power of the cosine, and no gamma function is needed.
    let area = |from: f64| {
        let step = (FRAC_PI_2 - from) / STEPS as f64;
        // Simpson's weights 1 4 2 4 … 4 1; the last value is 0.
        let weighted = |index: usize| {
            let weight = if index == 0 { 1.0 } else { 2.0 + 2.0 * (index % 2) as f64 };
            weight * (from + index as f64 * step).cos().powf(freedom - 1.0)
        };
        (0..STEPS).map(weighted).sum::<f64>() * step / 3.0
    };
    let wanted = tail * 2.0 * area(0.0);
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if area(middle) > wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    freedom.sqrt() * low.tan()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffai::measure::median;

    /// From any table of Student's t.
    #[test]
    fn quantiles_are_those_of_the_table() {
        for (tail, freedom, wanted) in [
            (0.025, 2.0, 4.3027),
            (0.025, 10.0, 2.2281),
            (0.005, 5.0, 4.0321),
            (0.0005, 9.0, 4.7809),
            (0.025, 1e3, 1.9623),
        ] {
            let found = student(tail, freedom);
            assert!((found - wanted).abs() < 1e-4, "{tail} {freedom}: {found}, not {wanted}");
        }
    }

    /// Of 1 … 4 and 100 one is cut on each side: kept are 2, 3, 4; winsorized 2 2 3 4 4 have squares 1+1+0+1+1 around 3, and the
    /// error is √(4 / (3 · 2)). Student's t with 2 degrees of freedom is 4.3027 at 95 %.
    #[test]
    fn an_outlier_moves_neither_mean_nor_bounds() {
        let near = of_pairs(vec![1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        let far = of_pairs(vec![1.0, 2.0, 3.0, 4.0, 100.0], 0.95).unwrap();
        assert_eq!(near, far);
        assert_eq!(far.centre, 3.0);
        assert!((far.high - 3.0 - 4.3027 * (4.0f64 / 6.0).sqrt()).abs() < 1e-3);
    }

    /// √(3² + 4²) = 5, and 1.96 of them on both sides.
    #[test]
    fn errors_of_estimates_add_in_squares() {
        let found = of_estimates((10.0, 3.0), (20.0, 4.0), 0.95);
        assert_eq!(found.centre, 10.0);
        assert!((found.high - 10.0 - 1.96 * 5.0).abs() < 0.02, "{found:?}");
    }

    /// Welch's test as any textbook has it: means 3 and 13, squares of errors 2.5 / 5 each, together 1, and 8 degrees of freedom, where
    /// Student's t is 2.3060.
    #[test]
    fn groups_of_five_keep_all_their_values() {
        let (before, after) = (vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![11.0, 12.0, 13.0, 14.0, 15.0]);
        let found = of_groups(before, after, 0.95).unwrap();
        assert_eq!(found.centre, 10.0);
        assert!((found.high - 10.0 - 2.3060).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn equal_values_leave_no_doubt_and_two_leave_nothing_to_say() {
        let none = Interval { centre: 1.0, low: 1.0, high: 1.0 };
        assert_eq!(of_pairs(vec![1.0; 4], 0.95), Some(none));
        assert_eq!(of_groups(vec![1.0; 4], vec![2.0; 3], 0.95), Some(none));
        assert_eq!(of_pairs(vec![1.0; 2], 0.95), None);
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
