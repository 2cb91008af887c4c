//! Which tensors are quantized, and to how many bits.

use super::Float;
use crate::Error;
use crate::kernels::quantize::{BITS, GROUPS};

/// How a checkpoint is to be converted.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvertOptions {
    /// Bits of every matrix that `roles` does not name; `None` converts without quantizing.
    pub bits: Option<u32>,
    /// Weights that share a scale and a bias.
    pub group: u32,
    /// What scales, biases and everything unquantized is stored as; `None` is the source's own type, bf16 for a GGUF file.
    pub dtype: Option<Float>,
    /// Bits by [role](ROLES), or `None` to leave it unquantized. What names fewer tensors goes before what names more, and later
    /// ones before earlier ones.
    pub roles: Vec<(String, Option<u32>)>,
    /// A file of weights is closed before it grows beyond this, if it holds a tensor already.
    pub shard_bytes: u64,
    /// Whether a model in the folder's place is replaced.
    pub overwrite: bool,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self { bits: None, group: 64, dtype: None, roles: Vec::new(), shard_bytes: 5_000_000_000, overwrite: false }
    }
}

/// What `--role` may name, and the tensors it stands for by their names in GGUF.
pub const ROLES: &[(&str, &[&str])] = &[
    ("embedding", &["token_embd"]),
    ("head", &["output"]),
    ("attention", &["attn_q", "attn_k", "attn_v", "attn_output"]),
    ("mlp", &["ffn_gate", "ffn_up", "ffn_down"]),
    ("query", &["attn_q"]),
    ("key", &["attn_k"]),
    ("value", &["attn_v"]),
    ("output", &["attn_output"]),
    ("gate", &["ffn_gate"]),
    ("up", &["ffn_up"]),
    ("down", &["ffn_down"]),
];

/// What a tensor is for, in tables: the first role that has it, or what it is else.
pub(super) fn role(name: &str) -> &'static str {
    let (part, suffix) = part(name);
    let found = ROLES.iter().find(|(_, parts)| parts.contains(&part));
    match found {
        _ if suffix == "bias" => "biases",
        Some((role, _)) => role,
        None if part.ends_with("norm") => "norms",
        None => "other",
    }
}

/// `attn_q` and `weight` of `blk.3.attn_q.weight`.
fn part(name: &str) -> (&str, &str) {
    let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    (stem.rsplit_once('.').map_or(stem, |(_, part)| part), suffix)
}

impl ConvertOptions {
    /// Refuses values that MLX does not pack, and roles that a model with (`tied`) or without a head of its own does not have.
    pub(super) fn check(&self, tied: bool) -> Result<(), Error> {
        let found = |bits: Option<u32>| bits.map_or("none".to_owned(), |bits| bits.to_string());
        let packs = |bits: Option<u32>| bits.is_none_or(|bits| BITS.contains(&bits));
        if !packs(self.bits) {
            return Err(Error::Option { option: "--bits", expected: "2, 3, 4, 5, 6 or 8", found: found(self.bits) });
        }
        if !GROUPS.contains(&self.group) {
            return Err(Error::Option {
                option: "--group-size",
                expected: "32, 64 or 128",
                found: self.group.to_string(),
            });
        }
        for (role, bits) in &self.roles {
            let shown = format!("{role}={}", found(*bits));
            if !ROLES.iter().any(|(name, _)| name == role) {
                let expected = "one of embedding, head, attention, mlp, query, key, value, output, gate, up, down";
                return Err(Error::Option { option: "--role", expected, found: shown });
            }
            if !packs(*bits) {
                return Err(Error::Option { option: "--role", expected: "2, 3, 4, 5, 6, 8 or none", found: shown });
            }
            if self.bits.is_none() {
                return Err(Error::Option {
                    option: "--role",
                    expected: "--bits beside it, for all other roles",
                    found: shown,
                });
            }
            if tied && role == "head" {
                let expected = "no head: this model's repeats the embedding, whose bits --embedding-bits sets";
                return Err(Error::Option { option: "--role", expected, found: shown });
            }
        }
        Ok(())
    }

    /// The bits of the tensor called `name` in the canon, if it is to be quantized.
    pub(super) fn bits_of(&self, name: &str) -> Option<u32> {
        let default = self.bits?;
        let (part, _) = part(name);
        let size =
            |role: &str| ROLES.iter().find(|(name, _)| *name == role).map(|(_, parts)| *parts).unwrap_or_default();
        // `max_by_key` takes the last of equals.
        let named = self.roles.iter().filter(|(role, _)| size(role).contains(&part));
        named.max_by_key(|(role, _)| std::cmp::Reverse(size(role).len())).map_or(Some(default), |(_, bits)| *bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(roles: &[(&str, Option<u32>)]) -> ConvertOptions {
        let roles = roles.iter().map(|(role, bits)| ((*role).to_owned(), *bits)).collect();
        ConvertOptions { bits: Some(4), roles, ..ConvertOptions::default() }
    }

    #[test]
    fn the_narrower_role_goes_first_and_of_equals_the_later() {
        let options = with(&[("value", Some(8)), ("attention", Some(6)), ("mlp", None), ("mlp", Some(3))]);
        assert_eq!(options.bits_of("blk.3.attn_v.weight"), Some(8));
        assert_eq!(options.bits_of("blk.3.attn_q.weight"), Some(6));
        assert_eq!(options.bits_of("blk.3.ffn_up.weight"), Some(3));
        assert_eq!(options.bits_of("token_embd.weight"), Some(4));
        assert_eq!(with(&[("head", None)]).bits_of("output.weight"), None);
        assert_eq!(ConvertOptions::default().bits_of("output.weight"), None);
    }

    #[test]
    fn tensors_have_roles() {
        for (name, expected) in [
            ("token_embd.weight", "embedding"),
            ("output.weight", "head"),
            ("output_norm.weight", "norms"),
            ("blk.0.attn_output.weight", "attention"),
            ("blk.0.attn_q_norm.weight", "norms"),
            ("blk.0.attn_q.bias", "biases"),
            ("blk.11.ffn_down.weight", "mlp"),
            ("blk.0.something.weight", "other"),
        ] {
            assert_eq!(role(name), expected, "{name}");
        }
    }

    #[test]
    fn what_mlx_does_not_pack_is_refused() {
        assert!(with(&[]).check(false).is_ok());
        assert!(ConvertOptions { bits: Some(7), ..with(&[]) }.check(false).is_err());
        assert!(ConvertOptions { group: 16, ..with(&[]) }.check(false).is_err());
        assert!(ConvertOptions { bits: None, ..with(&[("mlp", Some(4))]) }.check(false).is_err());
        assert!(with(&[("mlp", Some(1))]).check(false).is_err());
        assert!(with(&[("nonsense", Some(4))]).check(false).is_err());
        assert!(with(&[("head", Some(8))]).check(false).is_ok());
        assert!(with(&[("head", Some(8))]).check(true).is_err());
    }
}
