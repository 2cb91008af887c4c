// scores = (logits after penalties) / temperature, and the best of each chunk of CHUNK tokens.
//
// A token that the prompt or the text has is divided (or multiplied, below zero) by `repetition`; one that the text has loses
// `presence` and `frequency` per occurrence. The top bit of a count marks the prompt.
@group(0) @binding(0) var<storage, read> settings: array<Settings>;      // [sequences]
@group(0) @binding(1) var<storage, read> targets: array<u32>;            // [outputs]: the row that gets the token
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>;   // token, position, sequence of each row
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;       // [sequences, VOCAB]; anything unless PENALTIES
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;       // [outputs, VOCAB]
@group(0) @binding(5) var<storage, read_write> scores: array<f32>;       // [outputs, VOCAB]
@group(0) @binding(6) var<storage, read_write> best: array<vec2<u32>>;   // [outputs, chunks]: score bits, token

var<workgroup> tops: array<vec2<u32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let output = group.y;
    let sequence = rows[targets[output]].z;
    let s = settings[sequence];
    let scale = select(s.inverse_temperature, 1.0, s.inverse_temperature == 0.0);
    var top = -3.4028235e38;
    var token = 0xFFFFFFFFu;
    var damaged = false;
    for (var i = thread; i < CHUNK; i += WORKGROUP) {
        let id = group.x * CHUNK + i;
        if id >= VOCAB {
            break;
        }
        var score = logits[output * VOCAB + id];
        if PENALTIES {
            let count = counts[sequence * VOCAB + id];
            let times = count & 0x7FFFFFFFu;
            if count != 0u {
                score *= select(s.repetition, s.inverse_repetition, score > 0.0);
            }
            if times != 0u {
                score = score - s.presence - s.frequency * f32(times);
            }
        }
        score *= scale;
        scores[output * VOCAB + id] = score;
        // One NaN means that the model is damaged: it wins, as a token that does not exist.
        // By its bits: compilers may take every number to be equal to itself.
        if (bitcast<u32>(score) & 0x7FFFFFFFu) > 0x7F800000u {
            damaged = true;
        }
        if score > top {
            top = score;
            token = id;
        }
    }
    tops[thread] = select(vec2<u32>(key(top), token), vec2<u32>(0xFFFFFFFFu), damaged);
    workgroupBarrier();
    if thread == 0u {
        var winner = tops[0];
        for (var i = 1u; i < WORKGROUP; i++) {
            let other = tops[i];
            if other.x > winner.x || (other.x == winner.x && other.y < winner.y) {
                winner = other;
            }
        }
        best[output * groups.x + group.x] = winner;
    }
}
