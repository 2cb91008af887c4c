//! Which layers see through a sliding window, and how wide it is.

use super::config::{ModelConfig, inconsistent, named, refused};
use crate::Error;
use crate::kernels::paged::Scores;
use crate::weights::{Checkpoint, Settings};

/// The width of the file's window. In a GGUF file 0 says that there is none; HF would let a query see nothing at all.
pub(super) fn window(checkpoint: &Checkpoint, s: &Settings<'_>) -> Result<Option<u32>, Error> {
    const KEY: &str = "attention.sliding_window";
    match s.opt_u32(KEY)? {
        Some(0) if s.is_json() => {
            Err(inconsistent(checkpoint, format!("{}: expected at least 1, or null, found 0", s.spelled(KEY))))
        }
        window => Ok(window.filter(|&window| window > 0)),
    }
}

/// The window of each layer. Layers slide as the file's `layer_types` say, without them by `rule`.
pub(super) fn windows(
    checkpoint: &Checkpoint,
    s: &Settings<'_>,
    layers: u32,
    window: Option<u32>,
    rule: impl Fn(u32) -> bool,
) -> Result<Vec<Option<u32>>, Error> {
    let slides = match layer_types(checkpoint, s, layers)? {
        Some(slides) => slides,
        None => (0..layers).map(rule).collect(),
    };
    let key = s.spelled("attention.sliding_window");
    let of = |(layer, slides): (usize, bool)| match (slides, window) {
        (true, None) => {
            Err(inconsistent(checkpoint, format!("layer {layer} slides: expected {key} with a width, found none")))
        }
        (slides, window) => Ok(window.filter(|_| slides)),
    };
    slides.into_iter().enumerate().map(of).collect()
}

/// Whether each layer slides, where a `config.json` lists them.
fn layer_types(checkpoint: &Checkpoint, s: &Settings<'_>, layers: u32) -> Result<Option<Vec<bool>>, Error> {
    let words = if s.is_json() { s.opt_strings("layer_types")? } else { None };
    let Some(words) = words else { return Ok(None) };
    if words.len() != layers as usize {
        let what = format!("layer_types: expected a word for each of {layers} layers, found {}", words.len());
        return Err(inconsistent(checkpoint, what));
    }
    let slides = |word: &String| match word.as_str() {
        "sliding_attention" => Ok(true),
        // The second is what some files said before transformers settled the words.
        "full_attention" | "attention" => Ok(false),
        other => Err(refused(checkpoint, format!("a layer of type {}", named(other)))),
    };
    words.iter().map(slides).collect::<Result<_, _>>().map(Some)
}

/// Scores of the plainest attention: 1 / √head_dim, unless a GGUF file has a factor of its own.
pub(super) fn plain_scores(checkpoint: &Checkpoint, config: &ModelConfig, s: &Settings<'_>) -> Result<Scores, Error> {
    let plain = Scores::plain(config.heads.head_dim);
    Ok(Scores { scale: stored_scale(checkpoint, s)?.unwrap_or(plain.scale), ..plain })
}

/// The factor of scores that a GGUF file has.
pub(super) fn stored_scale(checkpoint: &Checkpoint, s: &Settings<'_>) -> Result<Option<f32>, Error> {
    let scale = if s.is_json() { None } else { s.opt_f32("attention.scale")? };
    scale.map(|scale| positive(checkpoint, "attention.scale", scale)).transpose()
}

/// Refuses a number that is not above zero.
pub(super) fn positive(checkpoint: &Checkpoint, key: &str, number: f32) -> Result<f32, Error> {
    match number > 0.0 && number.is_finite() {
        true => Ok(number),
        false => Err(inconsistent(checkpoint, format!("{key}: expected a number above 0, found {number}"))),
    }
}
