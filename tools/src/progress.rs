//! A bar on standard error while a text is scored. Where that is no terminal there is none.

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of `count` chunks, of which `done` are done.
    pub(crate) fn new(done: usize, count: usize) -> Self {
        Self::of("chunks", done, count)
    }

    /// The same of other things, by what they are called.
    pub(crate) fn of(noun: &str, done: usize, count: usize) -> Self {
        let bar = ProgressBar::new(count as u64).with_position(done as u64);
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {noun}, {{eta}} left  {{msg}}"))
        {
            bar.set_style(style);
        }
        bar.reset_eta();
        Self(bar)
    }

    /// So many are done, and this is what they say.
    pub(crate) fn at(&self, done: usize, message: String) {
        self.0.set_message(message);
        self.0.set_position(done as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
