//! `generation_config.json`: how a checkpoint's authors sample from it.

use std::path::Path;

use super::files::Settings;
use crate::text::Error;

/// What a checkpoint's `generation_config.json` says. `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationDefaults {
    /// Whether tokens are drawn; else the best one is taken every time.
    pub do_sample: Option<bool>,
    /// Divides logits; 0 to 100.
    pub temperature: Option<f32>,
    /// Keeps the so many best tokens; 0 is off.
    pub top_k: Option<u32>,
    /// Keeps the best tokens until their probability reaches this; above 0, at most 1.
    pub top_p: Option<f32>,
    /// Keeps tokens at least this probable relative to the best; 0 to 1.
    pub min_p: Option<f32>,
    /// Divides scores of tokens seen before; 0.01 to 100.
    pub repetition_penalty: Option<f32>,
    /// Token ids that end generation.
    pub eos_ids: Vec<u32>,
    /// The id that begins a text.
    pub bos_id: Option<u32>,
}

impl GenerationDefaults {
    pub(super) const FILE: &str = "generation_config.json";

    /// Reads the file in `folder`; without one, nothing is said.
    ///
    /// # Errors
    ///
    /// The file is not JSON, or a value is of another kind or outside its range. The message names file and key.
    pub fn from_folder(folder: &Path) -> Result<Self, Error> {
        let settings = Settings::read(folder, Self::FILE)?;
        let number = |key, expected, within: fn(f64) -> bool| {
            settings.number(key, expected, within).map(|number| number.map(|number| number as f32))
        };
        Ok(Self {
            do_sample: settings.bool("do_sample")?,
            temperature: number("temperature", "a number from 0 to 100", |x| (0.0..=100.0).contains(&x))?,
            top_k: settings.whole("top_k")?,
            // As `f32`, in which the smallest of these would be no more than 0.
            top_p: number("top_p", "a number above 0, at most 1", |x| x <= 1.0 && x as f32 >= f32::MIN_POSITIVE)?,
            min_p: number("min_p", "a number from 0 to 1", |x| (0.0..=1.0).contains(&x))?,
            repetition_penalty: number("repetition_penalty", "a number from 0.01 to 100", |x| {
                (0.01..=100.0).contains(&x)
            })?,
            eos_ids: settings.ids("eos_token_id")?,
            bos_id: settings.ids("bos_token_id")?.first().copied(),
        })
    }
}
