// Reads keys and values, four neighbouring elements at a time. Expects the bindings `keys` and `values` as pairs of words: halves
// come two to a word, because a load costs by the component on some devices.
fn key_at(vector: u32) -> vec4<f32> {
    if HALF_KV {
        let words = keys[vector];
        return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
    }
    return bitcast<vec4<f32>>(vec4<u32>(keys[2u * vector], keys[2u * vector + 1u]));
}

fn value_at(vector: u32) -> vec4<f32> {
    if HALF_KV {
        let words = values[vector];
        return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
    }
    return bitcast<vec4<f32>>(vec4<u32>(values[2u * vector], values[2u * vector + 1u]));
}
