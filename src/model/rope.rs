//! Rotary frequencies, and the ways in which models stretch them.

use super::config::{ModelConfig, PARTIAL, inconsistent, named, refused};
use crate::Error;
use crate::graph::Slice;
use crate::weights::{self, Checkpoint, Loader, Settings};
use serde::Serialize;

/// How far positions turn a pair, and what stretches it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rope {
    /// Base of the frequencies.
    pub base: f32,
    /// What stretches them.
    pub scaling: Scaling,
    /// The file has a factor for each pair, which stretches too.
    pub stored_factors: bool,
}

/// What stretches rotary positions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Scaling {
    /// Nothing.
    None,
    /// All positions are divided by the factor.
    Linear {
        /// The factor.
        factor: f32,
    },
    /// Llama 3.1: slow frequencies are divided by the factor, fast ones kept, those between blended.
    Llama3 {
        /// The factor.
        factor: f32,
        /// Pairs that turn fewer times than this within the original context are slow.
        low: f32,
        /// Those that turn more often than this are fast.
        high: f32,
        /// Tokens that the model was trained with at first.
        original: f32,
    },
}

/// Rotary positions as the device has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadedRope {
    pub(super) rope: Rope,
    /// Radians per position of each pair.
    pub(super) frequencies: Slice,
}

impl Rope {
    /// What a checkpoint says of all layers. `base` holds where it is silent.
    pub(super) fn of(checkpoint: &Checkpoint, s: &Settings<'_>, base: f32) -> Result<Self, Error> {
        let default = base;
        let base = s.opt_f32("rope.freq_base")?.unwrap_or(default);
        if s.is_json() {
            let tables = ["rope_parameters", "rope_scaling"];
            // Of two tables transformers drops the first, with the base in it.
            let kept = s.opt_f32("rope_scaling.rope_theta")?.or(s.opt_f32("rope_theta")?).unwrap_or(default);
            if tables.iter().all(|table| s.has(table)) && kept != base {
                let what = format!(
                    "rope_parameters.rope_theta: expected {kept}, which holds beside rope_scaling, found {base}"
                );
                return Err(inconsistent(checkpoint, what));
            }
            return Self::in_tables(checkpoint, s, base, &tables);
        }
        let rope = Self::in_tables(checkpoint, s, base, &["rope.scaling"])?;
        // What old converters called it.
        let old = s.opt_f32("rope.scale_linear")?.filter(|_| rope.scaling == Scaling::None);
        let rope = Self { scaling: old.map_or(rope.scaling, |factor| Scaling::Linear { factor }), ..rope };
        rope.check(checkpoint, s)
    }

    /// Rotary positions of a base, not stretched.
    pub(super) fn plain(checkpoint: &Checkpoint, s: &Settings<'_>, base: f32) -> Result<Self, Error> {
        Self { base, scaling: Scaling::None, stored_factors: false }.check(checkpoint, s)
    }

    /// What one or the other of several tables of a checkpoint says, which must agree where there are several.
    pub(super) fn in_tables(
        checkpoint: &Checkpoint,
        s: &Settings<'_>,
        base: f32,
        tables: &[&str],
    ) -> Result<Self, Error> {
        let mut found: Option<(&str, Scaling)> = None;
        for table in tables.iter().filter(|table| s.has(table)) {
            let scaling = Scaling::in_table(checkpoint, s, table)?;
            if let Some((other, _)) = found.filter(|(_, other)| *other != scaling) {
                return Err(inconsistent(
                    checkpoint,
                    format!("{table}: expected what {other} says, found another scaling"),
                ));
            }
            found = Some((table, scaling));
            // Only transformers 5 keeps the base in there, and reads it from there first.
            if let Some(other) = s.opt_f32(&format!("{table}.rope_theta"))?.filter(|&other| other != base) {
                return Err(inconsistent(
                    checkpoint,
                    format!("{table}.rope_theta: expected {base} as elsewhere, found {other}"),
                ));
            }
        }
        let scaling = found.map_or(Scaling::None, |(_, scaling)| scaling);
        Self { base, scaling, stored_factors: false }.check(checkpoint, s)
    }

    fn check(self, checkpoint: &Checkpoint, s: &Settings<'_>) -> Result<Self, Error> {
        if !(1.0..=1e12).contains(&self.base) {
            let key = s.spelled("rope.freq_base");
            return Err(inconsistent(
                checkpoint,
                format!("{key}: expected a number from 1 to 1e12, found {}", self.base),
            ));
        }
        let factors: &[f32] = match &self.scaling {
            Scaling::None => &[],
            Scaling::Linear { factor } => &[*factor],
            Scaling::Llama3 { factor, low, high, original } => &[*factor, *low, *high, *original],
        };
        if let Some(factor) = factors.iter().find(|factor| !(1e-3..=1e9).contains(*factor)) {
            let what = format!("rope scaling: expected factors from 0.001 to 1e9, found {factor}");
            return Err(inconsistent(checkpoint, what));
        }
        match self.scaling {
            Scaling::Llama3 { low, high, .. } if low >= high => {
                let what = format!("high_freq_factor: expected more than low_freq_factor, {low}, found {high}");
                Err(inconsistent(checkpoint, what))
            }
            _ => Ok(self),
        }
    }

    /// Brings the frequencies of `rotary` elements onto the device. `name` tells them from others.
    pub(super) fn load(
        self,
        loader: &mut Loader<'_>,
        name: &str,
        rotary: u32,
        factors: Option<&[f32]>,
    ) -> Result<LoadedRope, Error> {
        let frequencies = loader.upload_vector(name, &self.frequencies(rotary, factors))?;
        Ok(LoadedRope { rope: Self { stored_factors: factors.is_some(), ..self }, frequencies })
    }

    /// Radians per position of each pair: base^(-2i / n), divided by `factors` where the file has some, stretched.
    ///
    /// Each step is rounded as HF transformers rounds it in single precision, so that angles far out agree.
    fn frequencies(&self, rotary: u32, factors: Option<&[f32]>) -> Vec<f32> {
        let stretch = |frequency: f32| match self.scaling {
            Scaling::None => frequency,
            Scaling::Linear { factor } => frequency / factor,
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

impl Scaling {
    fn in_table(checkpoint: &Checkpoint, s: &Settings<'_>, table: &str) -> Result<Self, Error> {
        let number = |key: &str| s.opt_f32(&format!("{table}.{key}"));
        let needed = |key: &'static str| number(key)?.ok_or_else(|| missing(checkpoint, format!("{table}.{key}")));
        if let Some(part) = number(PARTIAL)?.filter(|&part| part != 1.0) {
            return Err(refused(checkpoint, format!("`{table}.{PARTIAL}` of {part}")));
        }
        if s.has(&format!("{table}.full_attention")) || s.has(&format!("{table}.sliding_attention")) {
            return Err(refused(checkpoint, format!("rotary positions per kind of layer (`{table}`)")));
        }
        // Older files say `type`.
        let kind = s.opt_str(&format!("{table}.rope_type"))?.or(s.opt_str(&format!("{table}.type"))?);
        let factor = number("factor")?;
        Ok(match kind {
            None if factor.is_none() => Self::None,
            None if s.is_json() => return Err(missing(checkpoint, format!("{table}.rope_type"))),
            None => Self::Linear { factor: needed("factor")? },
            Some("none" | "default") => Self::None,
            Some("linear") if s.is_json() => Self::Linear { factor: needed("factor")? },
            Some("linear") => Self::Linear { factor: factor.unwrap_or(1.0) },
            Some("llama3") => Self::Llama3 {
                factor: needed("factor")?,
                low: needed("low_freq_factor")?,
                high: needed("high_freq_factor")?,
                original: original(checkpoint, s, table)?,
            },
            Some(other) => return Err(refused(checkpoint, format!("rope scaling {}", named(other)))),
        })
    }
}

/// The context that a model was trained with before it was stretched: its whole context where a `config.json` does not say.
fn original(checkpoint: &Checkpoint, s: &Settings<'_>, table: &str) -> Result<f32, Error> {
    const KEY: &str = "original_max_position_embeddings";
    let inside = format!("{table}.{KEY}");
    // Transformers reads one or the other, by the kind of table.
    let beside = if s.is_json() { s.opt_f32(KEY)? } else { None };
    match (s.opt_f32(&inside)?, beside) {
        (Some(length), None) => Ok(length),
        (Some(length), Some(beside)) if length == beside => Ok(length),
        (Some(length), Some(beside)) => {
            Err(inconsistent(checkpoint, format!("{KEY}: expected {length} as {table} says, found {beside}")))
        }
        (None, None) if s.is_json() => s.u32("context_length").map(|length| length as f32).map_err(Error::from),
        (None, _) => Err(missing(checkpoint, inside)),
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
