//! Weights that MLX packed: three tensors that stand for one.

use super::Error;
use super::checkpoint::{Stored, plain};
use super::error::{Quoted, Shape};
use super::format::mlx;
use super::gguf::Metadata;
use super::safetensors::{SafeTensor, Safetensors};

/// The weight that `<layer>.weight` of u32, `<layer>.scales` and `<layer>.biases` stand for, whose rows are to have `cols`
/// elements. Bits and size of groups follow from the shapes; what `config` says of them must agree.
///
/// # Errors
/// One of the three is missing, their shapes contradict each other or `config`, or they were packed in another mode.
pub(super) fn packed<'a>(
    tensors: &'a Safetensors,
    config: &Metadata,
    weight: &'a SafeTensor,
    cols: u64,
) -> Result<Stored<'a>, Error> {
    let file = tensors.file(weight);
    let what = || format!("packed weight {}", Quoted(&weight.name));
    let invalid = |expected, found| Error::Invalid { file: file.to_owned(), what: what(), expected, found };
    let layer = weight.name.strip_suffix(".weight").unwrap_or(&weight.name);
    let said = Said::of(config, layer)?;
    if said.mode != "affine" {
        return Err(Error::Unsupported {
            what: format!("quantization mode {} of {} in {}", Quoted(said.mode), Quoted(&weight.name), file.display()),
            hint: Some("fetch a variant quantized with `--q-mode affine`, or one in bf16".to_owned()),
        });
    }
    let config_path = tensors.folder().join("config.json");
    let (Some(said_bits), Some(said_group)) = (said.bits, said.group) else {
        let expected = format!("bits and group_size, since {} is packed", Quoted(&weight.name));
        let found = "no such entry".to_owned();
        return Err(Error::Invalid { file: config_path, what: "quantization".to_owned(), expected, found });
    };
    let scales = tensors.tensor(&format!("{layer}.scales"))?;
    let biases = tensors.tensor(&format!("{layer}.biases"))?;
    let matrix = |tensor: &SafeTensor| {
        let shape = <[u64; 2]>::try_from(tensor.shape.as_slice());
        let found = || format!("{} of {}", Shape(&tensor.shape), Quoted(&tensor.name));
        shape.map_err(|_| invalid("two dimensions".to_owned(), found()))
    };
    let ([rows, words], [scale_rows, groups]) = (matrix(weight)?, matrix(scales)?);
    if biases.shape != scales.shape || biases.dtype != scales.dtype || scale_rows != rows {
        let shown = |tensor: &SafeTensor| format!("{:?} {}", tensor.dtype, Shape(&tensor.shape));
        return Err(invalid(
            format!("scales and biases of {rows} rows, of one shape and type"),
            format!("{} and {}", shown(scales), shown(biases)),
        ));
    }
    let shapes = || format!("{words} words and {groups} groups");
    let whole = |a: u64, b: u64| (b > 0 && a.is_multiple_of(b)).then(|| a / b);
    let (Some(bits), Some(group)) = (whole(words.saturating_mul(32), cols), whole(cols, groups)) else {
        return Err(invalid(format!("words and groups that divide among {cols} weights per row"), shapes()));
    };
    for (key, said, derived) in [("bits", said_bits, bits), ("group_size", said_group, group)] {
        if said != derived {
            return Err(invalid(
                format!("{key} {said} as {} says", config_path.display()),
                format!("{derived} by its shape: {}", shapes()),
            ));
        }
    }
    Ok(Stored {
        names: vec![&weight.name, &scales.name, &biases.name],
        file,
        dims: vec![cols, rows],
        kind: format!("MLX {bits}-bit in groups of {group} with scales of {:?}", scales.dtype),
        format: plain(scales.dtype).and_then(|pair| mlx::format(bits, group, pair)),
        planes: [tensors.data(weight), tensors.data(scales), tensors.data(biases)],
    })
}

/// What `config.json` says of one layer's quantization: its own entry, else that of all.
pub(super) struct Said<'a> {
    mode: &'a str,
    bits: Option<u64>,
    pub(super) group: Option<u64>,
}

impl<'a> Said<'a> {
    pub(super) fn of(config: &'a Metadata, layer: &str) -> Result<Self, Error> {
        // Both tables are written, with the same content.
        let tables = ["quantization", "quantization_config"];
        let spelled = |key: &str| {
            let mut names =
                tables.iter().flat_map(|table| [format!("{table}.{layer}.{key}"), format!("{table}.{key}")]);
            names.find(|name| config.get(name).is_some()).unwrap_or_default()
        };
        Ok(Self {
            mode: config.opt_str(&spelled("mode"))?.unwrap_or("affine"),
            bits: config.opt_u64(&spelled("bits"))?,
            group: config.opt_u64(&spelled("group_size"))?,
        })
    }
}
