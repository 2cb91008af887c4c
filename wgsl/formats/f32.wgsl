// 32 weights of 4 bytes.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = false;
const HAS_MINIMUM: bool = false;
const LOW: vec4<f32> = vec4<f32>(1.0);
const HIGH: vec4<f32> = vec4<f32>(1.0);

fn unpack(block: u32) -> Raw {
    let at = block * 8u;
    return Raw(
        bitcast<vec4<f32>>(quants[at]), bitcast<vec4<f32>>(quants[at + 1u]),
        bitcast<vec4<f32>>(quants[at + 2u]), bitcast<vec4<f32>>(quants[at + 3u]),
        bitcast<vec4<f32>>(quants[at + 4u]), bitcast<vec4<f32>>(quants[at + 5u]),
        bitcast<vec4<f32>>(quants[at + 6u]), bitcast<vec4<f32>>(quants[at + 7u]),
        1.0, 0.0, 0.0, 0.0,
    );
}
