// What the log-probability of one token per row is made of: its logit, the largest logit and where it stands, and the sum of
// exp(logit - largest).
//
// One workgroup owns one row and reads it twice: for the largest logit, which keeps the exponentials within range, then for the sum.
@group(0) @binding(0) var<storage, read> wanted: array<u32>;          // [rows]: a token each
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;    // [rows, VOCAB]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;         // [rows, 3]: logit of the token, largest, sum
@group(0) @binding(3) var<storage, read_write> best: array<u32>;      // [rows]: the lowest token with the largest logit

var<workgroup> peaks: array<f32, WORKGROUP>;
var<workgroup> tokens: array<u32, WORKGROUP>;
var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y * groups.x + group.x;
    let start = row * VOCAB;
    let inside = row < arrayLength(&best);
    var peak = -3.4028234e38;
    var top = 0xFFFFFFFFu;
    if inside {
        for (var i = thread; i < VOCAB; i += WORKGROUP) {
            let x = logits[start + i];
            if x > peak {
                peak = x;
                top = i;
            }
        }
    }
    peaks[thread] = peak;
    tokens[thread] = top;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if thread < half {
            let other = peaks[thread + half];
            let token = tokens[thread + half];
            // Of equal ones the lowest token, wherever the halves meet.
            if other > peaks[thread] || (other == peaks[thread] && token < tokens[thread]) {
                peaks[thread] = other;
                tokens[thread] = token;
            }
        }
        workgroupBarrier();
    }
    let largest = peaks[0];
    var sum = 0.0;
    if inside {
        for (var i = thread; i < VOCAB; i += WORKGROUP) {
            sum += exp(logits[start + i] - largest);
        }
    }
    sums[thread] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if thread < half {
            sums[thread] += sums[thread + half];
        }
        workgroupBarrier();
    }
    if inside && thread == 0u {
        y[3u * row] = logits[start + wanted[row]];
        y[3u * row + 1u] = largest;
        y[3u * row + 2u] = sums[0];
        best[row] = tokens[0];
    }
}
