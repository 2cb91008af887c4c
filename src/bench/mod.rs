//! Benchmarks whose rows others can read: methods that run a model, the rows that they give, and the reports that keep rows.
//!
//! A [`BenchRunner`] runs a [`Method`] and gives [`BenchRow`]s; a [`ReportWriter`] appends them to the day's report.

mod error;
mod filler;
mod judged;
mod load;
mod measured;
mod method;
mod multi_turn;
mod niah;
mod options;
mod reference;
mod report;
mod row;
mod runner;
mod summarization;
mod tools;
mod wikitext2;

pub use error::Error;
pub use method::Method;
pub use niah::heat_map;
pub use options::BenchOptions;
pub use report::{Machine, ReportFiles, ReportWriter, Sidecar, markdown, to_json};
pub use row::{BenchRow, Load, NeedleScore, Spread};
pub use runner::BenchRunner;
