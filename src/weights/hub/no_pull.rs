//! What stands in for fetching in a build without the feature `hub`.

use super::{Error, Listing, Name, Pulled, Settings, Watcher};

/// Refuses: this build cannot fetch.
///
/// # Errors
/// [`Error::NotBuilt`], always.
pub fn pull(name: &Name, _memory: u64, _settings: &Settings, _watcher: &mut Watcher<'_>) -> Result<Pulled, Error> {
    Err(Error::NotBuilt { model: name.to_string() })
}

/// Refuses: this build cannot ask.
///
/// # Errors
/// [`Error::NotBuilt`], always.
pub fn list(name: &Name, _settings: &Settings, _watcher: &mut Watcher<'_>) -> Result<Listing, Error> {
    Err(Error::NotBuilt { model: name.to_string() })
}
