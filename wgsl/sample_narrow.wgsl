// Finds the value of the next eight bits of the threshold in a histogram, from the largest down, and clears it for the next pass.
//
// By count for top-k, by mass (BY_MASS) for top-p. After the last pass the threshold is known, and how many of the tokens that
// stand exactly on it are kept.
@group(0) @binding(0) var<storage, read> settings: array<Settings>;           // [sequences]
@group(0) @binding(1) var<storage, read> targets: array<u32>;                 // [outputs]: the row that gets the token
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>;        // token, position, sequence of each row
@group(0) @binding(3) var<storage, read_write> bins: array<u32>;              // [outputs, 3, 256]: tokens, mass by halves
@group(0) @binding(4) var<storage, read_write> selections: array<Selection>;  // [outputs]

var<workgroup> counts: array<u32, 256>;
var<workgroup> masses: array<vec2<u32>, 256>;

fn narrow(output: u32, s: Settings) {
    var state = selections[output];
    if select(s.top_k == 0u, s.top_p == 0xFFFFFFFFu, BY_MASS) {
        return;
    }
    if PASS == 0u {
        state.prefix = 0u;
        if BY_MASS {
            var all = state.above;
            if s.top_k == 0u || !AFTER_TOP_K {
                all = vec2<u32>(0u);
                for (var i = 0u; i < 256u; i++) {
                    all = add(all, masses[i]);
                }
            }
            state.goal = portion(all, s.top_p);
            if state.goal.x == 0u && state.goal.y == 0u {
                state.goal = vec2<u32>(1u, 0u);
            }
        }
        state.above = vec2<u32>(0u);
    }
    var bin = 255u;
    while bin > 0u {
        if BY_MASS {
            if !below(masses[bin], state.goal) {
                break;
            }
            state.goal = subtract(state.goal, masses[bin]);
        } else {
            if counts[bin] >= state.wanted {
                break;
            }
            state.wanted -= counts[bin];
            state.above = add(state.above, masses[bin]);
        }
        bin--;
    }
    state.prefix = (state.prefix << 8u) | bin;
    if PASS == 3u {
        state.threshold = state.prefix;
        if BY_MASS {
            // All tokens on the threshold weigh the same: as many as it takes to reach the goal.
            let each = masses[bin].x / max(counts[bin], 1u);
            if masses[bin].y == 0u && each > 0u {
                let needed = (state.goal.x + each - 1u) / each;
                state.ties = min(max(needed, 1u), counts[bin]);
            } else {
                state.ties = counts[bin];
            }
        } else {
            state.ties = min(state.wanted, counts[bin]);
            var each = vec2<u32>(0u);
            if masses[bin].y == 0u {
                each.x = masses[bin].x / max(counts[bin], 1u);
            }
            state.above = add(state.above, product(each.x, state.ties));
        }
    }
    selections[output] = state;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let output = group.x;
    let base = output * 768u;
    for (var i = thread; i < 256u; i += 64u) {
        counts[i] = bins[base + i];
        masses[i] = join(bins[base + 256u + i], bins[base + 512u + i]);
        bins[base + i] = 0u;
        bins[base + 256u + i] = 0u;
        bins[base + 512u + i] = 0u;
    }
    workgroupBarrier();
    if thread == 0u {
        narrow(output, settings[rows[targets[output]].z]);
    }
}
