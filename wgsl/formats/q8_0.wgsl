// 8 bits and a scale: w = d q, q signed. Two blocks share a word of scales.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = false;
const LOW: vec4<f32> = vec4<f32>(1.0);
const HIGH: vec4<f32> = vec4<f32>(1.0);

fn signed(word: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xI8(word));
}

fn unpack(block: u32) -> Raw {
    let a = quants[block * 2u];
    let b = quants[block * 2u + 1u];
    let d = unpack2x16float(scales[block / 2u] >> (block % 2u * 16u)).x;
    return Raw(
        signed(a.x), signed(a.y), signed(a.z), signed(a.w), signed(b.x), signed(b.y), signed(b.z), signed(b.w),
        d, 0.0, 0.0, 0.0,
    );
}
