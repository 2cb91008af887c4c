// y[t, r] = sum_k w[r, k] * x[t, k] for many tokens t; RESIDUAL adds to it.
//
// A workgroup owns a tile of TILE_ROWS rows and TILE_TOKENS tokens and walks the columns a block of 32 at a time: half of its threads
// unpack weights into shared memory, the others bring the activations, then each thread multiplies 4 rows by 4 tokens.
@group(0) @binding(0) var<storage, read> quants: array<Quants>;          // plane of quants
@group(0) @binding(1) var<storage, read> scales: array<u32>;             // plane of scales
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;      // [tokens, 32 BLOCKS]
@group(0) @binding(3) var<storage, read_write> residual: array<f32>;     // [tokens, STRIDE]; anything unless RESIDUAL
@group(0) @binding(4) var<storage, read_write> y: array<f32>;            // [tokens, STRIDE], rows FIRST to FIRST + ROWS

const PITCH: u32 = TILE_TOKENS + 1u; // of a column of activations: neighbouring columns start in different banks
const LOADERS: u32 = WORKGROUP - TILE_ROWS; // threads that bring activations
const ACROSS: u32 = TILE_ROWS / 4u; // threads side by side over the rows

var<workgroup> weights: array<f32, 32u * TILE_ROWS>; // [32, TILE_ROWS]
var<workgroup> columns: array<f32, 32u * PITCH>;     // [32, PITCH]

fn tokens() -> u32 {
    return arrayLength(&x) / (8u * BLOCKS);
}

fn put(row: u32, column: u32, four: vec4<f32>) {
    weights[column * TILE_ROWS + row] = four.x;
    weights[(column + 1u) * TILE_ROWS + row] = four.y;
    weights[(column + 2u) * TILE_ROWS + row] = four.z;
    weights[(column + 3u) * TILE_ROWS + row] = four.w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x * TILE_ROWS;
    let token = group.y * TILE_TOKENS;
    let last = tokens() - 1u;
    let across = thread % ACROSS;
    let down = thread / ACROSS * 4u;
    var acc: array<vec4<f32>, 4>; // of each token, 4 rows
    for (var block = 0u; block < BLOCKS; block++) {
        if thread < TILE_ROWS {
            // Rows past the end repeat the last one and are not stored.
            let w = dequantize(unpack(min(row + thread, ROWS - 1u) * BLOCKS + block));
            put(thread, 0u, w.q0);
            put(thread, 4u, w.q1);
            put(thread, 8u, w.q2);
            put(thread, 12u, w.q3);
            put(thread, 16u, w.q4);
            put(thread, 20u, w.q5);
            put(thread, 24u, w.q6);
            put(thread, 28u, w.q7);
        } else {
            for (var i = thread - TILE_ROWS; i < TILE_TOKENS * 8u; i += LOADERS) {
                let at = i / 8u;
                let column = i % 8u * 4u;
                let v = x[(min(token + at, last) * BLOCKS + block) * 8u + i % 8u];
                columns[column * PITCH + at] = v.x;
                columns[(column + 1u) * PITCH + at] = v.y;
                columns[(column + 2u) * PITCH + at] = v.z;
                columns[(column + 3u) * PITCH + at] = v.w;
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < 32u; k++) {
            let at = k * TILE_ROWS + across;
            let w = vec4<f32>(weights[at], weights[at + ACROSS], weights[at + 2u * ACROSS], weights[at + 3u * ACROSS]);
            let start = k * PITCH + down;
            acc[0] = fma(w, vec4<f32>(columns[start]), acc[0]);
            acc[1] = fma(w, vec4<f32>(columns[start + 1u]), acc[1]);
            acc[2] = fma(w, vec4<f32>(columns[start + 2u]), acc[2]);
            acc[3] = fma(w, vec4<f32>(columns[start + 3u]), acc[3]);
        }
        workgroupBarrier();
    }
    for (var t = 0u; t < 4u; t++) {
        for (var i = 0u; i < 4u; i++) {
            let r = row + across + i * ACROSS;
            if token + down + t <= last && r < ROWS {
                let at = (token + down + t) * STRIDE + FIRST + r;
                var value = acc[t][i];
                if RESIDUAL {
                    value += residual[at];
                }
                y[at] = value;
            }
        }
    }
}
