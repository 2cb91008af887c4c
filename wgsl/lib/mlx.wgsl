// Scale and bias of a group of weights, w = scale q + bias, as MLX stores them: what its formats share. GROUP blocks of 32 share a
// pair of numbers, which are f16 (PAIR 16), bf16 (17) or f32 (32).
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn scale_and_bias(block: u32) -> vec2<f32> {
    let group = block / GROUP;
    if PAIR == 32u {
        return bitcast<vec2<f32>>(vec2<u32>(scales[2u * group], scales[2u * group + 1u]));
    }
    let word = scales[group];
    if PAIR == 16u {
        return unpack2x16float(word);
    }
    return bitcast<vec2<f32>>(vec2<u32>(word << 16u, word & 0xFFFF0000u));
}
