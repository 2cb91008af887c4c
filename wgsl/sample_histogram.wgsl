// How many tokens, and how much mass, fall on each value of the next eight bits of the threshold.
//
// PASS 0 to 3 looks at bits 31-24 down to 7-0 of the keys whose higher bits equal the prefix. Only tokens kept so far count.
@group(0) @binding(0) var<storage, read_write> scores: array<f32>;            // [outputs, VOCAB]
@group(0) @binding(1) var<storage, read_write> selections: array<Selection>;  // [outputs]
@group(0) @binding(2) var<storage, read_write> bins: array<atomic<u32>>;      // [outputs, 3, 256]: tokens, mass low, mass high

var<workgroup> local_bins: array<atomic<u32>, 768>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let output = group.y;
    for (var i = thread; i < 768u; i += WORKGROUP) {
        atomicStore(&local_bins[i], 0u);
    }
    workgroupBarrier();
    let peak = selections[output].peak;
    let prefix = selections[output].prefix;
    let threshold = selections[output].threshold;
    for (var i = thread; i < CHUNK; i += WORKGROUP) {
        let id = group.x * CHUNK + i;
        if id >= VOCAB {
            break;
        }
        let score = scores[output * VOCAB + id];
        let k = key(score);
        // A shift by 32 is not defined, so the first pass does not look at the prefix.
        if k < threshold || (PASS > 0u && k >> ((32u - 8u * PASS) & 31u) != prefix) {
            continue;
        }
        let bin = (k >> (24u - 8u * PASS)) & 255u;
        atomicAdd(&local_bins[bin], 1u);
        if MASS {
            let m = mass(score, peak);
            atomicAdd(&local_bins[256u + bin], m & 0xFFFFu);
            atomicAdd(&local_bins[512u + bin], m >> 16u);
        }
    }
    workgroupBarrier();
    for (var bin = thread; bin < 256u; bin += WORKGROUP) {
        let count = atomicLoad(&local_bins[bin]);
        if count == 0u {
            continue;
        }
        let at = output * 768u + bin;
        atomicAdd(&bins[at], count);
        if MASS {
            // Halves of a chunk's masses fit a word; those of a vocabulary need 64 bits, and carry.
            let m = join(atomicLoad(&local_bins[256u + bin]), atomicLoad(&local_bins[512u + bin]));
            let before = atomicAdd(&bins[at + 256u], m.x);
            atomicAdd(&bins[at + 512u], m.y + select(0u, 1u, before + m.x < before));
        }
    }
}
