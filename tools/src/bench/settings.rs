//! What a model is opened with, one engine per setting.

use crate::failure::Failure;
use ffai::generate::{Backend, OpenOptions};
use ffai::graph::{Element, Forced};
use ffai::kernels::{forced, forced_by_environment};

/// How one engine is opened.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) kv: KvType,
    /// Tokens of a prompt that run at once.
    pub(super) chunk: usize,
    /// Which variants of kernels were asked for, as rows show it; empty where none.
    pub(super) variant: String,
    forced: Forced,
}

/// What keys and values are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum KvType {
    F16,
    F32,
}

impl KvType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }
}

/// Variants of a kernel to go through: `softmax=online,two-pass`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variants {
    kernel: String,
    words: Vec<String>,
}

impl std::str::FromStr for Variants {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(kernel, words)| !kernel.is_empty() && !words.is_empty());
        let (kernel, words) = parts.ok_or_else(|| format!("expected KERNEL=VARIANT,…, found `{text}`"))?;
        Ok(Self { kernel: kernel.to_owned(), words: words.split(',').map(str::to_owned).collect() })
    }
}

impl std::fmt::Display for Variants {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}={}", self.kernel, self.words.join(","))
    }
}

/// Every setting: the product of what is to be gone through. The environment's own choices hold where none is asked for.
pub(super) fn settings(kv: &[KvType], chunk: usize, variants: &[Variants]) -> Result<Vec<Setting>, Failure> {
    let refused = |error: ffai::graph::ExecuteError| {
        let hint = error.hint().unwrap_or_default();
        Failure::usage(error.to_string()).with_hint(hint)
    };
    let mut combinations: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for Variants { kernel, words } in variants {
        let extended = combinations
            .iter()
            .flat_map(|chosen| words.iter().map(|word| [&chosen[..], &[(kernel.clone(), word.clone())]].concat()));
        combinations = extended.collect();
    }
    let mut all = Vec::new();
    for chosen in &combinations {
        let names = chosen
            .iter()
            .map(|(kernel, word)| (format!("FFAI_KERNEL_{}", kernel.to_uppercase().replace('-', "_")), word.clone()));
        let forced = if chosen.is_empty() { forced_by_environment() } else { forced(names) }.map_err(refused)?;
        let variant: Vec<String> = chosen.iter().map(|(kernel, word)| format!("{kernel}={word}")).collect();
        for &kv in kv {
            all.push(Setting { kv, chunk, variant: variant.join(" "), forced: forced.clone() });
        }
    }
    Ok(all)
}

impl Setting {
    /// How a model is opened for sequences of `context` tokens.
    pub(super) fn options(&self, backend: Backend, context: u32) -> OpenOptions {
        OpenOptions {
            backend,
            kv: match self.kv {
                KvType::F16 => Element::F16,
                KvType::F32 => Element::F32,
            },
            chunk: self.chunk,
            context: Some(context),
            forced: self.forced.clone(),
            ..OpenOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_gone_through_in_every_combination() {
        let variants: Vec<Variants> =
            ["softmax=online,two-pass", "matmul=shared,registers"].iter().map(|text| text.parse().unwrap()).collect();
        let all = settings(&[KvType::F16, KvType::F32], 512, &variants).unwrap();
        assert_eq!(all.len(), 8);
        assert_eq!(all[0].variant, "softmax=online matmul=shared");
        assert_eq!(all[7].variant, "softmax=two-pass matmul=registers");
        assert!("softmax".parse::<Variants>().is_err() && "=x".parse::<Variants>().is_err());
        assert!(settings(&[KvType::F16], 512, &["softmax=wishful".parse().unwrap()]).is_err());
    }
}
