//! What Python does otherwise than minijinja: how values are written, and operators, filters, methods and tests that templates
//! written for Python rely on. All of it pays from the [`Budget`](super::budget::Budget).

mod filters;
mod json;
mod methods;
pub(super) mod operators;
mod strings;
mod tests;
mod text;

pub(super) use text::{Text, write_str};

use super::budget::Budget;
use minijinja::Environment;
use std::sync::Arc;

/// Adds all of it to an environment.
pub(super) fn add_to(environment: &mut Environment<'_>, budget: &Arc<Budget>) {
    operators::add_to(environment, budget);
    filters::add_to(environment, budget);
    tests::add_to(environment, budget);
    methods::add_to(environment, budget);
}
