//! Sound GGUF files, to be read or to be broken.

use crate::gguf_writer::{GgufWriter, Item};

/// An array whose elements are of type `kind`.
pub(crate) fn list(kind: u32, items: impl IntoIterator<Item = Item>) -> Item {
    Item::List(kind, items.into_iter().collect())
}

/// Two tensors with nothing special about them.
pub(crate) fn plain() -> GgufWriter {
    GgufWriter::new()
        .key("general.architecture", Item::Text("llama"))
        .tensor("token_embd.weight", &[32, 3], 8, vec![1; 102])
        .tensor("output_norm.weight", &[32], 0, vec![2; 128])
}

/// Every value type, arrays of each, nested arrays, and tensors of several types and shapes.
pub(crate) fn complete() -> GgufWriter {
    let mut writer = GgufWriter::new()
        .key("general.architecture", Item::Text("llama"))
        .key("general.alignment", Item::U32(64))
        .key("v.u8", Item::U8(200))
        .key("v.i8", Item::I8(-100))
        .key("v.u16", Item::U16(60_000))
        .key("v.i16", Item::I16(-30_000))
        .key("v.u32", Item::U32(4_000_000_000))
        .key("v.i32", Item::I32(-2_000_000_000))
        .key("v.f32", Item::F32(1.5))
        .key("v.bool", Item::Bool(true))
        .key("v.text", Item::Text("grüße 🦀"))
        .key("v.u64", Item::U64(u64::MAX))
        .key("v.i64", Item::I64(i64::MIN))
        .key("v.f64", Item::F64(0.1))
        .key("a.u8", list(0, [1, 2, 255].map(Item::U8)))
        .key("a.i8", list(1, [-1, 127].map(Item::I8)))
        .key("a.u16", list(2, [1, 65535].map(Item::U16)))
        .key("a.i16", list(3, [-2, 3].map(Item::I16)))
        .key("a.u32", list(4, [7, 8, 9].map(Item::U32)))
        .key("a.i32", list(5, [-7, 8].map(Item::I32)))
        .key("a.f32", list(6, [0.0, -1.5, 3.25].map(Item::F32)))
        .key("a.bool", list(7, [true, false].map(Item::Bool)))
        .key("a.text", list(8, ["<s>", "", "▁the"].map(Item::Text)))
        .key("a.u64", list(10, [1, u64::MAX].map(Item::U64)))
        .key("a.i64", list(11, [-1, i64::MAX].map(Item::I64)))
        .key("a.f64", list(12, [2.5].map(Item::F64)))
        .key("a.empty", list(6, []))
        .key("a.a", list(9, [list(5, [1, 2].map(Item::I32)), list(8, [Item::Text("x")])]))
        .key("a.a.a", list(9, [list(9, [list(9, [list(0, [Item::U8(9)])])])]))
        .tensor("token_embd.weight", &[32, 4], 8, vec![1; 136])
        .tensor("blk.0.attn_q.weight", &[64, 2, 3], 2, vec![2; 216])
        .tensor("blk.0.ffn_up.weight", &[256, 1, 1, 2], 14, vec![3; 420])
        .tensor("output_norm.weight", &[5], 0, vec![4; 20])
        .tensor("blk.0.half", &[3, 3], 30, vec![5; 18]);
    writer.alignment = 64;
    writer
}
