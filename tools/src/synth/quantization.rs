//! Which type each tensor of a GGUF file is stored in, by the name of a quantization.
//!
//! The mixtures are those of llama.cpp's `llama-quantize` (`llama_tensor_get_type` in llama-quant.cpp): a head, or an embedding that
//! serves as one, of 6 bits; with `_M`, values and every other down projection of one type more.

use super::tensors::Tensor;
use ffai::weights::format;
use ffai::weights::gguf::TensorType;

/// A quantization by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantization {
    /// As `general.file_type` numbers it (`enum llama_ftype` in llama.h).
    pub(super) file_type: u32,
    base: TensorType,
    /// What the larger half of a mixture is stored in.
    more: Option<TensorType>,
}

/// Mixtures and their numbers.
const MIXTURES: &[(&str, u32, TensorType, TensorType)] = &[
    ("Q3_K_M", 12, TensorType::Q3K, TensorType::Q5K),
    ("Q4_K_M", 15, TensorType::Q4K, TensorType::Q6K),
    ("Q5_K_M", 17, TensorType::Q5K, TensorType::Q6K),
];

/// Types that stand alone, and their numbers.
const PLAIN: &[(TensorType, u32)] = &[
    (TensorType::F32, 0),
    (TensorType::F16, 1),
    (TensorType::Q4_0, 2),
    (TensorType::Q4_1, 3),
    (TensorType::Q8_0, 7),
    (TensorType::Q5_0, 8),
    (TensorType::Q5_1, 9),
    (TensorType::Q2K, 10),
    (TensorType::Q3K, 11),
    (TensorType::Q4K, 14),
    (TensorType::Q5K, 16),
    (TensorType::Q6K, 18),
    (TensorType::Iq4Nl, 25),
    (TensorType::Iq4Xs, 30),
    (TensorType::BF16, 32),
];

/// Names of all, for messages.
pub(super) fn names() -> String {
    let plain = PLAIN.iter().map(|(kind, _)| kind.name());
    plain.chain(MIXTURES.iter().map(|(name, ..)| *name)).collect::<Vec<_>>().join(", ")
}

/// The quantization of that name, in letters of either case. `Q4_K` and `Q4_K_S` are one.
pub(super) fn named(name: &str) -> Option<Quantization> {
    let name = name.to_ascii_uppercase();
    if let Some(&(_, file_type, base, more)) = MIXTURES.iter().find(|(known, ..)| *known == name) {
        return Some(Quantization { file_type, base, more: Some(more) });
    }
    let plain = name.strip_suffix("_S").filter(|plain| plain.ends_with("_K")).unwrap_or(&name);
    let (base, file_type) = *PLAIN.iter().find(|(kind, _)| kind.name() == plain)?;
    Some(Quantization { file_type, base, more: None })
}

impl Quantization {
    /// The type of a tensor in a model of so many layers, `tied` where its embedding is the head too.
    pub(super) fn of(self, tensor: &Tensor, layers: u64, tied: bool) -> TensorType {
        if !tensor.is_matrix() {
            return TensorType::F32;
        }
        let quantized = !matches!(self.base, TensorType::F32 | TensorType::F16 | TensorType::BF16 | TensorType::Q8_0);
        let wanted = match (tensor.part(), self.more) {
            ((None, "output"), _) if quantized => TensorType::Q6K,
            ((None, "token_embd"), _) if quantized && tied => TensorType::Q6K,
            ((Some(layer), "attn_v" | "ffn_down"), Some(more)) if takes_more(layer, layers) => more,
            _ => self.base,
        };
        fitting(wanted, tensor.dims[0])
    }
}

/// The first and the last eighth of all layers, and every third between them (`use_more_bits` in llama-quant.cpp).
fn takes_more(layer: u64, layers: u64) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// `wanted`, or what llama-quantize takes in its place where its blocks do not divide rows of `cols`.
fn fitting(wanted: TensorType, cols: u64) -> TensorType {
    let divides = |kind: TensorType| {
        cols.is_multiple_of(kind.block_elements()) && format::named(&kind.name().to_lowercase()).is_some()
    };
    let instead = match wanted {
        TensorType::Q2K | TensorType::Q3K | TensorType::Iq4Xs => TensorType::Iq4Nl,
        TensorType::Q4K => TensorType::Q5_0,
        TensorType::Q5K => TensorType::Q5_1,
        TensorType::Q6K => TensorType::Q8_0,
        other => other,
    };
    [wanted, instead].into_iter().find(|&kind| divides(kind)).unwrap_or(TensorType::F16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, cols: u64) -> Tensor {
        Tensor { name: name.to_owned(), dims: vec![cols, 64], mean: 0.0, deviation: 1.0 }
    }

    #[test]
    fn mixtures_give_more_bits_where_llama_quantize_does() {
        let mixture = named("q4_k_m").unwrap();
        // Of 16 layers: the first two, the last two, and 4, 7, 10, 13 between them.
        let more: Vec<u64> = (0..16)
            .filter(|layer| {
                mixture.of(&tensor(&format!("blk.{layer}.ffn_down.weight"), 256), 16, true) == TensorType::Q6K
            })
            .collect();
        assert_eq!(more, [0, 1, 4, 7, 10, 13, 14, 15]);
        assert_eq!(mixture.of(&tensor("blk.0.ffn_up.weight", 256), 16, true), TensorType::Q4K);
        assert_eq!(mixture.of(&tensor("token_embd.weight", 256), 16, true), TensorType::Q6K);
        assert_eq!(mixture.of(&tensor("token_embd.weight", 256), 16, false), TensorType::Q4K);
        assert_eq!(mixture.of(&tensor("output.weight", 256), 16, false), TensorType::Q6K);
    }

    #[test]
    fn rows_that_blocks_do_not_divide_take_another_type() {
        for (name, cols, kind) in [
            ("Q4_K", 96, TensorType::Q5_0),
            ("Q6_K", 96, TensorType::Q8_0),
            ("Q2_K", 96, TensorType::Iq4Nl),
            ("Q4_K_S", 256, TensorType::Q4K),
            ("Q4_0", 40, TensorType::F16),
            ("bf16", 40, TensorType::BF16),
        ] {
            assert_eq!(named(name).unwrap().of(&tensor("blk.0.ffn_up.weight", cols), 4, true), kind, "{name} {cols}");
        }
        assert_eq!(named("IQ2_M"), None);
        assert_eq!(named("Q4_0_S"), None);
    }
}
