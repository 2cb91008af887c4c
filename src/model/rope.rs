//! Rotary frequencies, and the ways in which models stretch them.

use super::config::{ModelConfig, refused};
use crate::Error;
use crate::weights::{self, Checkpoint, Loader, Settings};

/// How far positions turn a pair, and what stretches it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rope {
    /// Base of the frequencies.
    pub(super) base: f32,
    pub(super) scaling: Scaling,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scaling {
    None,
    /// All positions divided by the factor.
    Linear(f32),
    /// Llama 3.1: slow frequencies divided by the factor, fast ones kept, those between blended.
    Llama3 {
        factor: f32,
        low: f32,
        high: f32,
        original: f32,
    },
}

impl Rope {
    /// What a checkpoint says of all layers. `base` holds where it is silent.
    pub(super) fn of(checkpoint: &Checkpoint, s: &Settings<'_>, base: f32) -> Result<Self, Error> {
        let tables: &[&str] = if s.is_json() { &["rope_parameters", "rope_scaling"] } else { &["rope.scaling"] };
        Self::in_tables(checkpoint, s, s.opt_f32("rope.freq_base")?.unwrap_or(base), tables)
    }

    /// What one of several tables of a checkpoint says; the first that names a type holds.
    pub(super) fn in_tables(
        checkpoint: &Checkpoint,
        s: &Settings<'_>,
        base: f32,
        tables: &[&str],
    ) -> Result<Self, Error> {
        let mut scaling = Scaling::None;
        for table in tables {
            let number = |key: &str| s.opt_f32(&format!("{table}.{key}"));
            // Older files say `type`; a factor without a type is linear.
            let kind = s.opt_str(&format!("{table}.rope_type"))?.or(s.opt_str(&format!("{table}.type"))?);
            let factor = number("factor")?;
            let needed = |key: &'static str| number(key)?.ok_or_else(|| missing(checkpoint, format!("{table}.{key}")));
            scaling = match kind.unwrap_or(if factor.is_some() { "linear" } else { "none" }) {
                "none" | "default" => Scaling::None,
                "linear" => Scaling::Linear(factor.unwrap_or(1.0)),
                "llama3" => Scaling::Llama3 {
                    factor: needed("factor")?,
                    low: needed("low_freq_factor")?,
                    high: needed("high_freq_factor")?,
                    original: needed("original_max_position_embeddings")?,
                },
                other => {
                    let other = other.chars().take(20).collect::<String>().escape_debug().to_string();
                    return Err(refused(checkpoint, format!("rope scaling `{other}`")));
                }
            };
            if scaling != Scaling::None {
                break;
            }
        }
        // What old converters called it.
        if !s.is_json() && scaling == Scaling::None {
            scaling = s.opt_f32("rope.scale_linear")?.map_or(Scaling::None, Scaling::Linear);
        }
        let rope = Self { base, scaling };
        rope.check().map_err(|what| weights::Error::Model { file: checkpoint.config_path().to_owned(), what })?;
        Ok(rope)
    }

    fn check(&self) -> Result<(), String> {
        if !(1.0..=1e12).contains(&self.base) {
            return Err(format!("rope.freq_base: expected a number from 1 to 1e12, found {}", self.base));
        }
        let factors: &[f32] = match &self.scaling {
            Scaling::None => &[],
            Scaling::Linear(factor) => &[*factor],
            Scaling::Llama3 { factor, low, high, original } => &[*factor, *low, *high, *original],
        };
        match factors.iter().find(|factor| !(1e-3..=1e9).contains(*factor)) {
            Some(factor) => Err(format!("rope scaling: expected factors from 0.001 to 1e9, found {factor}")),
            None => Ok(()),
        }
    }

    /// Radians per position of each pair: base^(-2i / n), divided by `factors` where the file has some, stretched.
    ///
    /// Each step is rounded as HF transformers rounds it in single precision, so that angles far out agree.
    pub(super) fn frequencies(&self, rotary: u32, factors: Option<&[f32]>) -> Vec<f32> {
        let stretch = |frequency: f32| match self.scaling {
            Scaling::None => frequency,
            Scaling::Linear(factor) => frequency / factor,
            Scaling::Llama3 { factor, low, high, original } => {
                let length = 2.0 * std::f32::consts::PI / frequency;
                if length > original / low {
                    frequency / factor
                } else if length < original / high {
                    frequency
                } else {
                    let smooth = (original / length - low) / (high - low);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            }
        };
        let frequency = |pair: u32| {
            let exponent = 2.0 * pair as f32 / rotary as f32;
            let plain = 1.0 / f64::from(self.base).powf(f64::from(exponent)) as f32;
            stretch(plain) / factors.map_or(1.0, |factors| factors[pair as usize])
        };
        (0..rotary / 2).map(frequency).collect()
    }
}

/// The factors that GGUF files of Llama 3.1 store in place of the rule.
pub(super) fn stored_factors(loader: &mut Loader<'_>, config: &ModelConfig) -> Result<Option<Vec<f32>>, Error> {
    let stored = loader.checkpoint().gguf().is_some() && loader.has("rope_freqs.weight");
    stored.then(|| loader.values("rope_freqs.weight", config.rotary / 2)).transpose()
}

fn missing(checkpoint: &Checkpoint, key: String) -> Error {
    weights::Error::MissingKey { key, file: checkpoint.config_path().to_owned() }.into()
}
