// Draws a token: a random number, counted from the seed and the position alone, falls on the kept mass in order of ids.
//
// Greedy sequences of the batch take their best token here.
@group(0) @binding(0) var<storage, read> settings: array<Settings>;           // [sequences]
@group(0) @binding(1) var<storage, read> targets: array<u32>;                 // [outputs]: the row that gets the token
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;            // [outputs, VOCAB]
@group(0) @binding(3) var<storage, read_write> selections: array<Selection>;  // [outputs]
@group(0) @binding(4) var<storage, read_write> chunks: array<vec4<u32>>;      // [outputs, CHUNKS]: mass low, high, ties, 0
@group(0) @binding(5) var<storage, read_write> rows: array<vec4<u32>>;        // token, position, sequence of each row
@group(0) @binding(6) var<storage, read_write> counts: array<u32>;            // [sequences, VOCAB]; anything unless PENALTIES

// Philox 2x32-10 (Salmon et al. 2011).
fn random(seed: vec2<u32>, counter: u32) -> u32 {
    var x = vec2<u32>(counter, seed.y);
    var k = seed.x;
    for (var round = 0u; round < 10u; round++) {
        let p = product(0xD256D193u, x.x);
        x = vec2<u32>(p.y ^ k ^ x.y, p.x);
        k += 0x9E3779B9u;
    }
    return x.x;
}

fn draw(output: u32, position: u32, s: Settings) -> u32 {
    let state = selections[output];
    if s.inverse_temperature == 0.0 || state.best >= VOCAB {
        return state.best;
    }
    let bits = select(~state.threshold, state.threshold & 0x7FFFFFFFu, state.threshold >> 31u == 1u);
    var each = 0u;
    if state.threshold != 0u {
        each = mass(bitcast<f32>(bits), state.peak);
    }
    var all = vec2<u32>(0u);
    var ties = state.ties;
    for (var c = 0u; c < CHUNKS; c++) {
        let chunk = chunks[output * CHUNKS + c];
        let kept = min(ties, chunk.z);
        ties -= kept;
        all = add(all, add(chunk.xy, product(each, kept)));
    }
    var left = portion(all, random(s.seed, position));
    ties = state.ties;
    var c = 0u;
    while c < CHUNKS - 1u {
        let chunk = chunks[output * CHUNKS + c];
        let kept = min(ties, chunk.z);
        let weight = add(chunk.xy, product(each, kept));
        if below(left, weight) {
            break;
        }
        left = subtract(left, weight);
        ties -= kept;
        c++;
    }
    let lowest = state.peak + s.floor;
    var token = state.best;
    for (var i = 0u; i < CHUNK; i++) {
        let id = c * CHUNK + i;
        if id >= VOCAB {
            break;
        }
        let score = scores[output * VOCAB + id];
        let k = key(score);
        if score < lowest || k < state.threshold || (k == state.threshold && ties == 0u) {
            continue;
        }
        if k == state.threshold {
            ties -= 1u;
        }
        let m = vec2<u32>(mass(score, state.peak), 0u);
        if m.x > 0u {
            token = id;
            if below(left, m) {
                break;
            }
        }
        left = subtract(left, m);
    }
    return token;
}

// One thread walks; the others are there for overrides.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if thread > 0u {
        return;
    }
    let target_row = targets[group.x];
    let row = rows[target_row];
    let token = draw(group.x, row.y, settings[row.z]);
    rows[target_row] = vec4<u32>(token, row.y + 1u, row.z, row.w);
    if PENALTIES && token < VOCAB {
        counts[row.z * VOCAB + token] += 1u;
    }
}
