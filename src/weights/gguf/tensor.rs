//! The table of tensors: what each is, and proof that its data lies in the file.

use super::Error;
use super::cursor::Cursor;
use super::tensor_type::TensorType;
use crate::weights::error::Quoted;

/// Most dimensions of a ggml tensor, `GGML_MAX_DIMS`.
const MOST_DIMS: u32 = 4;

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// How its elements are stored.
    pub kind: TensorType,
    /// One to four sizes, none zero, the contiguous dimension first: `[cols, rows, …]`.
    pub dims: Vec<u64>,
    /// Where its data starts, in bytes from the start of the file.
    pub offset: u64,
    /// Size of its data in bytes.
    pub bytes: u64,
    /// Which part of a split checkpoint holds it, counted from zero.
    pub(super) part: usize,
}

impl TensorInfo {
    /// Elements per row, which are contiguous.
    pub fn cols(&self) -> u64 {
        self.dims.first().copied().unwrap_or(1)
    }

    /// The product of all dimensions but the first.
    pub fn rows(&self) -> u64 {
        self.dims.iter().skip(1).product()
    }

    /// The product of all dimensions.
    pub fn elements(&self) -> u64 {
        self.dims.iter().product()
    }
}

/// A tensor as the table has it: `info.offset` still counts from the start of the data.
pub(super) struct Row {
    pub(super) info: TensorInfo,
    /// Where in the file the offset field is, for messages.
    at: u64,
}

impl Row {
    /// Least size of a row in the file: empty name, one dimension.
    pub(super) const LEAST_BYTES: u64 = 8 + 4 + 8 + 4 + 8;

    pub(super) fn read(from: &mut Cursor<'_>, index: u64) -> Result<Self, Error> {
        let name = from.string(format_args!("name of tensor {index}"))?;
        let what = Quoted(name);
        let at = from.at();
        let count = from.u32(format_args!("dimensions of tensor {what}"))?;
        if !(1..=MOST_DIMS).contains(&count) {
            let field = format!("dimensions of tensor {what}");
            return Err(from.malformed(at, field, "1 to 4", count));
        }
        let dims_at = from.at();
        let mut dims = Vec::new();
        for _ in 0..count {
            dims.push(from.u64(format_args!("shape of tensor {what}"))?);
        }
        let at = from.at();
        let number = from.u32(format_args!("type of tensor {what}"))?;
        let kind = TensorType::from_number(number)
            .ok_or_else(|| from.malformed(at, format!("type of tensor {what}"), "a type that ggml defines", number))?;
        let bytes = data_bytes(&dims, kind).map_err(|expected| {
            let field = format!("shape of {kind} tensor {what}");
            from.malformed(dims_at, field, expected, format!("{dims:?}"))
        })?;
        let at = from.at();
        let offset = from.u64(format_args!("offset of tensor {what}"))?;
        Ok(Self { info: TensorInfo { name: name.to_owned(), kind, dims, offset, bytes, part: 0 }, at })
    }

    /// Turns the offset into one from the start of the file, if the data it leads to is there.
    pub(super) fn place(
        &mut self,
        from: &Cursor<'_>,
        file_bytes: u64,
        data_offset: u64,
        alignment: u64,
    ) -> Result<(), Error> {
        let TensorInfo { name, offset, bytes, .. } = &mut self.info;
        let what = Quoted(name);
        if !offset.is_multiple_of(alignment) {
            let expected = format!("a multiple of {alignment}");
            return Err(from.malformed(self.at, format!("offset of {what}"), expected, *offset));
        }
        let start = data_offset.checked_add(*offset).ok_or_else(|| {
            let expected = format!("less than the file's {file_bytes} bytes");
            from.malformed(self.at, format!("offset of {what}"), expected, *offset)
        })?;
        let available = file_bytes.saturating_sub(start);
        if *bytes > available {
            return Err(Error::Truncated {
                file: from.file.to_owned(),
                offset: start,
                what: format!("data of tensor {what}"),
                needed: *bytes,
                available,
            });
        }
        *offset = start;
        Ok(())
    }
}

/// Bytes that a tensor of `dims` takes, or what is expected of `dims` instead.
fn data_bytes(dims: &[u64], kind: TensorType) -> Result<u64, String> {
    if dims.contains(&0) {
        return Err("no dimension of zero".to_owned());
    }
    if !dims[0].is_multiple_of(kind.block_elements()) {
        return Err(format!("rows of a multiple of {} elements", kind.block_elements()));
    }
    let elements = dims.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
    elements
        .and_then(|elements| (elements / kind.block_elements()).checked_mul(kind.block_bytes()))
        .ok_or_else(|| "a size that fits 64 bits".to_owned())
}

/// Refuses tensors that share bytes. Converters store shared weights once, under one name; and
/// with this, the sizes of all tensors together never exceed the file.
pub(super) fn refuse_overlaps(from: &Cursor<'_>, rows: &[Row]) -> Result<(), Error> {
    let mut by_offset: Vec<&Row> = rows.iter().collect();
    by_offset.sort_by_key(|row| row.info.offset);
    for pair in by_offset.windows(2) {
        let (before, after) = (&pair[0].info, &pair[1].info);
        let end = before.offset + before.bytes;
        if after.offset < end {
            let what = format!("offset of {}", Quoted(&after.name));
            let expected = format!("byte {end} or later, where {} ends", Quoted(&before.name));
            return Err(from.malformed(pair[1].at, what, expected, format!("byte {}", after.offset)));
        }
    }
    Ok(())
}
