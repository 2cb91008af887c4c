// Finds the value of the next eight bits of the threshold in a histogram, from the largest down, and clears it for the next pass.
//
// By count for top-k, by mass (BY_MASS) for top-p. After the last pass the threshold is known, and how many of the tokens that
// stand exactly on it are kept.
@group(0) @binding(0) var<storage, read> settings: array<Settings>;           // [sequences]
@group(0) @binding(1) var<storage, read> targets: array<u32>;                 // [outputs]: the row that gets the token
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>;        // token, position, sequence of each row
@group(0) @binding(3) var<storage, read_write> bins: array<u32>;              // [outputs, 3, 256]: tokens, mass low, mass high
@group(0) @binding(4) var<storage, read_write> selections: array<Selection>;  // [outputs]

var<workgroup> counts: array<u32, 256>;
var<workgroup> masses: array<vec2<u32>, 256>;

// a / b, rounded down, for results below 2^31; all ones where b is 0.
fn quotient(a: vec2<u32>, b: u32) -> u32 {
    var q = 0u;
    for (var bit = 1u << 30u; bit > 0u; bit >>= 1u) {
        if !below(a, product(q | bit, b)) {
            q |= bit;
        }
    }
    return q;
}

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
        // All tokens on the threshold weigh the same: as many are kept as it takes.
        let each = quotient(masses[bin], counts[bin]);
        if BY_MASS {
            let needed = quotient(add(state.goal, vec2<u32>(max(each, 1u) - 1u, 0u)), each);
            state.ties = clamp(needed, 1u, counts[bin]);
        } else {
            state.ties = min(state.wanted, counts[bin]);
            state.above = add(state.above, product(each, state.ties));
        }
    }
    selections[output] = state;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let output = group.x;
    let base = output * 768u;
    for (var i = thread; i < 256u; i += WORKGROUP) {
        counts[i] = bins[base + i];
        masses[i] = vec2<u32>(bins[base + 256u + i], bins[base + 512u + i]);
        bins[base + i] = 0u;
        bins[base + 256u + i] = 0u;
        bins[base + 512u + i] = 0u;
    }
    workgroupBarrier();
    if thread == 0u {
        narrow(output, settings[rows[targets[output]].z]);
    }
}
