// The mass of each chunk's kept tokens above the threshold, and how many of its tokens stand on it.
@group(0) @binding(0) var<storage, read> settings: array<Settings>;           // [sequences]
@group(0) @binding(1) var<storage, read> targets: array<u32>;                 // [outputs]: the row that gets the token
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>;        // token, position, sequence of each row
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;            // [outputs, VOCAB]
@group(0) @binding(4) var<storage, read_write> selections: array<Selection>;  // [outputs]
@group(0) @binding(5) var<storage, read_write> chunks: array<vec4<u32>>;      // [outputs, chunks]: mass low, high, ties, 0

var<workgroup> sums: array<vec4<u32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let output = group.y;
    let peak = selections[output].peak;
    let threshold = selections[output].threshold;
    let lowest = peak + settings[rows[targets[output]].z].floor;
    var low = 0u;
    var high = 0u;
    var ties = 0u;
    for (var i = thread; i < CHUNK; i += WORKGROUP) {
        let id = group.x * CHUNK + i;
        if id >= VOCAB {
            break;
        }
        let score = scores[output * VOCAB + id];
        let k = key(score);
        if score >= lowest && k >= threshold {
            let m = mass(score, peak);
            if k > threshold {
                low += m & 0xFFFFu;
                high += m >> 16u;
            } else {
                ties += 1u;
            }
        }
    }
    sums[thread] = vec4<u32>(low, high, ties, 0u);
    workgroupBarrier();
    if thread == 0u {
        var total = sums[0];
        for (var i = 1u; i < WORKGROUP; i++) {
            total += sums[i];
        }
        chunks[output * groups.x + group.x] = vec4<u32>(join(total.x, total.y), total.z, 0u);
    }
}
