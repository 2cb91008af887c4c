//! Benchmarks whose rows others can read: methods that run a model, the rows that they give, and the reports that keep rows.

mod error;
mod method;
mod report;
mod row;

pub use error::Error;
pub use method::Method;
pub use report::{Machine, ReportFiles, ReportWriter, Sidecar, markdown};
pub use row::{BenchRow, Load, NeedleScore, Spread};
