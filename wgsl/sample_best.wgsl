// The best of all chunks: the token itself where GREEDY, else where selection starts from.
@group(0) @binding(0) var<storage, read> settings: array<Settings>;            // [sequences]
@group(0) @binding(1) var<storage, read> targets: array<u32>;                  // [outputs]: the row that gets the token
@group(0) @binding(2) var<storage, read_write> best: array<vec2<u32>>;         // [outputs, CHUNKS]: score key, token
@group(0) @binding(3) var<storage, read_write> rows: array<vec4<u32>>;         // token, position, sequence of each row
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;             // [sequences, VOCAB]; anything unless PENALTIES
@group(0) @binding(5) var<storage, read_write> selections: array<Selection>;   // [outputs]
@group(0) @binding(6) var<storage, read_write> bins: array<u32>;               // [outputs, 3, 256]

var<workgroup> tops: array<vec2<u32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let output = group.x;
    var winner = vec2<u32>(0u, 0xFFFFFFFFu);
    for (var i = thread; i < CHUNKS; i += WORKGROUP) {
        let other = best[output * CHUNKS + i];
        if other.x > winner.x || (other.x == winner.x && other.y < winner.y) {
            winner = other;
        }
    }
    tops[thread] = winner;
    if !GREEDY {
        for (var i = thread; i < 768u; i += WORKGROUP) {
            bins[output * 768u + i] = 0u;
        }
    }
    workgroupBarrier();
    if thread != 0u {
        return;
    }
    for (var i = 1u; i < WORKGROUP; i++) {
        let other = tops[i];
        if other.x > winner.x || (other.x == winner.x && other.y < winner.y) {
            winner = other;
        }
    }
    let target_row = targets[output];
    let row = rows[target_row];
    if GREEDY {
        rows[target_row] = vec4<u32>(winner.y, row.y + 1u, row.z, row.w);
        if PENALTIES && winner.y < VOCAB {
            counts[row.z * VOCAB + winner.y] += 1u;
        }
    } else {
        let bits = select(~winner.x, winner.x & 0x7FFFFFFFu, winner.x >> 31u == 1u);
        let wanted = settings[row.z].top_k;
        selections[output] = Selection(
            bitcast<f32>(bits), winner.y, 0u, wanted, vec2<u32>(0u), 0u, 0xFFFFFFFFu, vec2<u32>(0u), array<u32, 6>(),
        );
    }
}
