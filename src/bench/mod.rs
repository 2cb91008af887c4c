//! Benchmarks whose rows others can read: methods that run a model, the rows that they give, and the reports that keep rows.

mod row;

pub use row::{BenchRow, Load, NeedleScore, Spread};
