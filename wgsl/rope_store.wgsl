// Makes queries, keys and values of the product: BIAS is added, queries and keys are RMS-normalised head by head where NORM, and
// rotated by their row's position; keys and values go to the sequence's pages.
//
// qkv holds HEADS query heads, then KV_HEADS key heads, then KV_HEADS value heads. One thread owns one pair of a head. The pair
// is (i, i + ROTARY / 2), or (2i, 2i + 1) where INTERLEAVED; elements past ROTARY pass unrotated. Where NORM a workgroup owns a head.
@group(0) @binding(0) var<storage, read> frequencies: array<f32>;       // [ROTARY / 2], radians per position
@group(0) @binding(1) var<storage, read> bias: array<f32>;              // [(HEADS + 2 KV_HEADS) HEAD_DIM]; anything unless BIAS
@group(0) @binding(2) var<storage, read> gains: array<f32>;             // [2, HEAD_DIM] of queries, keys; anything unless NORM
@group(0) @binding(3) var<storage, read_write> rows: array<vec4<u32>>;  // token, position, sequence of each row
@group(0) @binding(4) var<storage, read> pages: array<u32>;             // [sequences, MAX_PAGES]
@group(0) @binding(5) var<storage, read_write> qkv: array<f32>;         // [tokens, (HEADS + 2 KV_HEADS) HEAD_DIM]
@group(0) @binding(6) var<storage, read_write> q: array<f32>;           // [tokens, HEADS HEAD_DIM]
@group(0) @binding(7) var<storage, read_write> keys: array<KV>;         // [pages, KV_HEADS, PAGE, HEAD_DIM]
@group(0) @binding(8) var<storage, read_write> values: array<KV>;       // as keys

const PAIRS: u32 = HEAD_DIM / 2u;
const ALL: u32 = HEADS + 2u * KV_HEADS;

var<workgroup> squares: array<f32, SUBGROUPS>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    var pair = thread;
    var item = group.y * groups.x + group.x; // which head of which token
    if !NORM {
        let index = item * WORKGROUP + thread;
        pair = index % PAIRS;
        item = index / PAIRS;
    }
    let head = item % ALL;
    let token = item / ALL;
    let live = token < arrayLength(&rows) && pair < PAIRS;
    // Past ROTARY the elements stand in order, two to a thread.
    var a = 2u * pair;
    var b = a + 1u;
    let rotated = 2u * pair < ROTARY;
    if rotated && !INTERLEAVED {
        a = pair;
        b = pair + ROTARY / 2u;
    }
    var first = 0.0;
    var second = 0.0;
    if live {
        first = qkv[item * HEAD_DIM + a];
        second = qkv[item * HEAD_DIM + b];
        if BIAS {
            first += bias[head * HEAD_DIM + a];
            second += bias[head * HEAD_DIM + b];
        }
    }
    if NORM {
        let sum = subgroupAdd(fma(first, first, second * second));
        if lane == 0u {
            squares[subgroup] = sum;
        }
        workgroupBarrier();
        var total = squares[0];
        for (var s = 1u; s < subgroups; s++) {
            total += squares[s];
        }
        if head < HEADS + KV_HEADS && pair < PAIRS {
            let scale = inverseSqrt(total / f32(HEAD_DIM) + EPS);
            let start = select(0u, HEAD_DIM, head >= HEADS);
            first *= scale * gains[start + a];
            second *= scale * gains[start + b];
        }
    }
    if !live {
        return;
    }
    let row = rows[token];
    if rotated && head < HEADS + KV_HEADS {
        let t = turn(f32(row.y) * frequencies[pair]);
        let turned = first * t.x - second * t.y;
        second = second * t.x + first * t.y;
        first = turned;
    }
    if head < HEADS {
        let at = (token * HEADS + head) * HEAD_DIM;
        q[at + a] = first;
        q[at + b] = second;
        return;
    }
    let page = pages[row.z * MAX_PAGES + row.y / PAGE];
    let kv_head = (head - HEADS) % KV_HEADS;
    let at = ((page * KV_HEADS + kv_head) * PAGE + row.y % PAGE) * HEAD_DIM;
    if head < HEADS + KV_HEADS {
        keys[at + a] = KV(first);
        keys[at + b] = KV(second);
    } else {
        values[at + a] = KV(first);
        values[at + b] = KV(second);
    }
}
