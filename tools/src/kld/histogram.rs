//! How divergences are spread, as a picture.

use crate::failure::Failure;
use ffai::evaluate::Divergence;
use plotters::prelude::*;
use std::path::Path;

/// Bars, and the decades that they cover: a divergence below counts as one of the smallest.
const BARS: usize = 48;
const DECADES: std::ops::Range<i32> = -10..2;

/// Draws counts over divergences on a logarithmic axis.
pub(super) fn draw(path: &Path, divergence: &Divergence) -> Result<(), Failure> {
    let counts = counts(divergence.positions.iter().map(|position| position.kld));
    let failed = |error: String| Failure::failed(format!("cannot draw {}: {error}", path.display()));
    drawn(path, &counts).map_err(|error| failed(error.to_string()))
}

/// How many divergences each bar stands for.
fn counts(klds: impl Iterator<Item = f64>) -> Vec<u32> {
    let mut counts = vec![0; BARS];
    let (least, most) = (f64::from(DECADES.start), f64::from(DECADES.end));
    for kld in klds {
        let at = (kld.max(f64::MIN_POSITIVE).log10() - least) / (most - least) * BARS as f64;
        counts[(at.max(0.0) as usize).min(BARS - 1)] += 1;
    }
    counts
}

fn drawn<'p>(path: &'p Path, counts: &[u32]) -> Result<(), Box<dyn std::error::Error + 'p>> {
    let root = SVGBackend::new(path, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let tallest = counts.iter().copied().max().unwrap_or(1).max(1);
    let (least, most) = (f64::from(DECADES.start), f64::from(DECADES.end));
    let mut chart = ChartBuilder::on(&root)
        .caption("KL divergence per position", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(least..most, 0..tallest + tallest / 20 + 1)?;
    chart
        .configure_mesh()
        .x_desc("nats (the leftmost bar holds all below)")
        .y_desc("positions")
        .x_labels(DECADES.len() + 1)
        .x_label_formatter(&|decade| format!("1e{decade:.0}"))
        .draw()?;
    let width = (most - least) / BARS as f64;
    chart.draw_series(counts.iter().enumerate().map(|(index, &count)| {
        let left = least + index as f64 * width;
        Rectangle::new([(left, 0), (left + width * 0.92, count)], RGBColor(38, 110, 180).filled())
    }))?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_divergence_is_in_one_bar() {
        let counts = counts([0.0, 1e-12, 1e-10, 1e-3, 1.0, 99.0, 1e5].into_iter());
        assert_eq!(counts.iter().sum::<u32>(), 7);
        // Four bars a decade from 1e-10 on.
        assert_eq!((counts[0], counts[28], counts[40], counts[47]), (3, 1, 1, 2));
    }
}
