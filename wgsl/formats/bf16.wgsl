// 32 weights of 2 bytes, the upper halves of f32 numbers; the even ones in the low halves of words.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = false;
const HAS_MINIMUM: bool = false;
const LOW: vec4<f32> = vec4<f32>(1.0);
const HIGH: vec4<f32> = vec4<f32>(1.0);

fn widen(low: u32, high: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(low << 16u, low & 0xFFFF0000u, high << 16u, high & 0xFFFF0000u));
}

fn unpack(block: u32) -> Raw {
    let at = block * 4u;
    let a = quants[at];
    let b = quants[at + 1u];
    let c = quants[at + 2u];
    let d = quants[at + 3u];
    return Raw(
        widen(a.x, a.y), widen(a.z, a.w), widen(b.x, b.y), widen(b.z, b.w),
        widen(c.x, c.y), widen(c.z, c.w), widen(d.x, d.y), widen(d.z, d.w),
        1.0, 0.0, 0.0, 0.0,
    );
}
