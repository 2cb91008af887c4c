//! What the engine tells, in the Tracy profiler while it is connected.
//!
//! The client (its threads and a port on this machine alone) starts with [`start`], not with the program. `TRACY_PORT` chooses the
//! port. Nothing is kept while no profiler is connected.

#[cfg(feature = "tracy")]
mod client;
#[cfg(feature = "tracy")]
mod device;

use super::Sink;
use std::sync::Arc;

/// Starts the client, if it does not run yet, and gives the sink that feeds it. `None` where this library was built without the
/// feature `tracy`.
pub fn start() -> Option<Arc<dyn Sink>> {
    #[cfg(feature = "tracy")]
    return Some(client::start());
    #[cfg(not(feature = "tracy"))]
    None
}

/// Waits a moment where a profiler is connected: the client sends from a thread of its own, and what it has not sent when the program
/// ends is lost.
pub fn settle() {
    #[cfg(feature = "tracy")]
    client::settle();
}
