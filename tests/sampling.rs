//! Choosing tokens on the GPU: against the kernels' twins, against plain f64 arithmetic, and against chance.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/sampler.rs"]
mod sampler;
#[path = "support/sampler_reference.rs"]
mod sampler_reference;

use ffai::cpu::Cpu;
use ffai::generate::SamplingOptions;
use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{Executor, Rng};
use ffai::kernels::sampling::Sampling;
use sampler::{OUTPUTS, Sampler};
use sampler_reference::{BORDER, Scene, chi_squared, philox, random};

fn gpu() -> Box<dyn Executor> {
    Box::new(Gpu::open(&GpuOptions { checked: true, ..GpuOptions::default() }).unwrap())
}

fn cpu() -> Box<dyn Executor> {
    Box::new(Cpu::new(None))
}

const OFF: SamplingOptions = SamplingOptions {
    repetition_penalty: 1.0,
    presence_penalty: 0.0,
    frequency_penalty: 0.0,
    temperature: 1.0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    seed: 0,
};

/// A plan that can do everything.
const ALL: Sampling = Sampling { draw: true, top_k: true, top_p: true, penalties: true };

/// Settings of one plan's eight outputs, all of which `parts` can do. Values vary with `round`.
fn settings(parts: Sampling, round: usize) -> [SamplingOptions; OUTPUTS] {
    std::array::from_fn(|output| {
        let pick = |values: &[f32]| values[(round + output) % values.len()];
        let mut o = SamplingOptions { temperature: pick(&[1.0, 0.6, 0.0, 1.7, 0.25, 10.0, 0.8]), ..OFF };
        o.min_p = [0.0, 0.0, 0.02, 0.3, 1.0][(round + 3 * output) % 5];
        if parts.top_k {
            o.top_k = [40, 1, 3, 0, 200, 1_000_000][(round + output) % 6];
        }
        if parts.top_p {
            o.top_p = pick(&[0.95, 0.5, 1.0, 0.1, 1e-6]);
        }
        if parts.penalties {
            o.repetition_penalty = pick(&[1.3, 1.0, 0.7]);
            o.presence_penalty = pick(&[0.5, 0.0, -0.4]);
            o.frequency_penalty = pick(&[0.0, 0.25, 0.1, -0.2]);
        }
        o.seed = 0x5EED_0000_0001_u64.wrapping_mul((1 + round * OUTPUTS + output) as u64);
        o
    })
}

/// Counts of every kind: never seen, only in the prompt, only in the text, in both.
fn counts(rng: &mut Rng, vocab: usize) -> Vec<u32> {
    let count = |rng: &mut Rng| match rng.below(8) {
        0 => 1 << 31,
        1 => 1 << 31 | rng.below(4),
        2 => rng.below(5),
        _ => 0,
    };
    (0..vocab).map(|_| count(rng)).collect()
}

/// What came of many draws.
#[derive(Default)]
struct Tally {
    draws: usize,
    /// Of which the GPU and the twin disagree.
    differ: usize,
    /// The farthest that a random number lay outside of the stretch of the token drawn.
    farthest: f64,
}

fn compare(vocab: usize, parts: Sampling, rounds: usize, draws: usize, tally: &mut Tally) {
    let (mut device, mut twin) = (Sampler::new(gpu(), vocab, parts), Sampler::new(cpu(), vocab, parts));
    let mut rng = Rng(vocab as u64);
    for round in 0..rounds {
        let deviation = [2.0, 0.5, 4.0, 1.0][round % 4];
        let logits: Vec<f32> = (0..OUTPUTS * vocab).map(|_| rng.normal() * deviation).collect();
        let counts: Vec<Vec<u32>> = (0..OUTPUTS).map(|_| counts(&mut rng, vocab)).collect();
        let options = settings(parts, round);
        let scene = |output: usize| Scene {
            logits: &logits[output * vocab..][..vocab],
            counts: &counts[output],
            options: options[output],
        };
        let scenes: Vec<Scene<'_>> = (0..OUTPUTS).map(scene).collect();
        let drawn = |scene: &Scene<'_>| scene.options.temperature > 0.0;
        let kept: Vec<_> =
            scenes.iter().map(|s| if drawn(s) { s.distribution() } else { vec![(s.best(), 1.0)] }).collect();
        for side in [&mut device, &mut twin] {
            side.set_logits(&logits);
            side.set_options(&options);
        }
        for _ in 0..draws {
            let positions = std::array::from_fn(|_| rng.below(131_072));
            let [got, want] = [&mut device, &mut twin].map(|side| {
                side.set_counts(&counts);
                side.set_positions(&positions);
                side.draw()
            });
            for output in 0..OUTPUTS {
                let scene = &scenes[output];
                let number = random(scene.options.seed, positions[output]);
                let off = |token| scene.distance(&kept[output], token, number);
                let (device_off, twin_off) = (off(got[output]), off(want[output]));
                assert!(
                    device_off <= BORDER && twin_off <= BORDER,
                    "{vocab} tokens, {parts:?}, round {round}, output {output}, {:?}, position {}: {number} lies {device_off} \
                     outside of GPU's token {}, {twin_off} outside of the twin's {}",
                    scene.options,
                    positions[output],
                    got[output],
                    want[output]
                );
                tally.draws += 1;
                tally.differ += usize::from(got[output] != want[output]);
                tally.farthest = tally.farthest.max(device_off);
            }
        }
    }
}

/// Three parties: the GPU, the twins of its kernels, and sorting in f64. A draw may fall on either side of a border that the
/// random number touches.
#[test]
fn gpu_draws_equal_the_twins() {
    let plain = Sampling { draw: true, ..Sampling::default() };
    let plans = [
        plain,
        Sampling { top_k: true, ..plain },
        Sampling { top_p: true, ..plain },
        Sampling { top_k: true, top_p: true, ..plain },
        Sampling { penalties: true, ..plain },
        ALL,
    ];
    let mut tally = Tally::default();
    for parts in plans {
        compare(5000, parts, 12, 8, &mut tally);
    }
    for parts in [plain, ALL] {
        compare(49_152, parts, 4, 8, &mut tally);
    }
    let Tally { draws, differ, farthest } = tally;
    println!("{draws} draws: {differ} differ from the twin's, none is further than {farthest:e} from its border");
    assert!(draws > 5000 && differ * 1000 <= draws, "{differ} of {draws} draws differ from the twin's");
}

#[test]
fn draws_follow_the_distribution() {
    const VOCAB: usize = 400;
    const DRAWS: usize = 20_000;
    let mut rng = Rng(4711);
    let logits: Vec<f32> = (0..VOCAB).map(|_| rng.normal() * 2.0).collect();
    let seen = counts(&mut rng, VOCAB);
    let penalties = SamplingOptions {
        repetition_penalty: 1.4,
        presence_penalty: 0.5,
        frequency_penalty: 0.3,
        temperature: 1.1,
        ..OFF
    };
    let modes = [
        ("temperature", SamplingOptions { temperature: 0.8, ..OFF }),
        ("top-k", SamplingOptions { temperature: 1.2, top_k: 25, ..OFF }),
        ("top-p", SamplingOptions { top_p: 0.7, ..OFF }),
        ("min-p", SamplingOptions { min_p: 0.05, ..OFF }),
        ("penalties", penalties),
        ("all of them", SamplingOptions { top_k: 60, top_p: 0.9, min_p: 0.03, ..penalties }),
    ];
    for (name, options) in modes {
        let mut sampler = Sampler::new(gpu(), VOCAB, options.parts());
        sampler.set_logits(&logits.repeat(OUTPUTS));
        sampler.set_options(&std::array::from_fn(|output| SamplingOptions { seed: 1 + output as u64, ..options }));
        sampler.set_positions(&[0; OUTPUTS]);
        let mut draws = Vec::new();
        while draws.len() < DRAWS {
            // A draw counts as an occurrence, which would change the next one's odds.
            if options.parts().penalties {
                sampler.set_counts(&vec![seen.clone(); OUTPUTS]);
            }
            draws.extend(sampler.draw());
        }
        let kept = Scene { logits: &logits, counts: &seen, options }.distribution();
        let (statistic, critical) = chi_squared(&kept, &draws);
        println!("{name}: {} of {VOCAB} tokens kept, chi-squared {statistic:.1}, critical {critical:.1}", kept.len());
        assert!(statistic < critical, "{name}: {statistic} is past {critical}");
        // The test has teeth: the same draws do not pass for those of a temperature that is a tenth higher.
        let warmer = SamplingOptions { temperature: options.temperature * 1.1, ..options };
        let other = Scene { logits: &logits, counts: &seen, options: warmer }.distribution();
        if other.len() == kept.len() {
            let (statistic, critical) = chi_squared(&other, &draws);
            assert!(statistic > critical, "{name}: a warmer distribution passes with {statistic}");
        }
    }
}

#[test]
fn the_reference_counts_random_numbers_as_the_paper_does() {
    assert_eq!(philox([0, 0], 0)[0], 0xff1d_ae59);
    assert_eq!(philox([0x243f_6a88, 0x85a3_08d3], 0x1319_8a2e)[0], 0xdd7c_e038);
}

#[test]
fn greedy_ties_go_to_the_lowest_id() {
    const VOCAB: usize = 3000;
    // Ties within a chunk of 1024, across chunks, at both ends, of negative scores, of the two zeros.
    let places: [&[usize]; OUTPUTS] =
        [&[17, 900], &[1023, 1024], &[2999, 0], &[2999], &[1500, 2047, 2048], &[0, 1], &[700, 1900, 2900], &[64, 128]];
    let mut logits = vec![-8.0; OUTPUTS * VOCAB];
    for (output, places) in places.iter().enumerate() {
        for &place in *places {
            logits[output * VOCAB + place] = if output % 2 == 0 { 3.25 } else { -1.5 };
        }
    }
    let greedy = SamplingOptions::greedy();
    for parts in [greedy.parts(), ALL] {
        for executor in [gpu(), cpu()] {
            let mut sampler = Sampler::new(executor, VOCAB, parts);
            sampler.set_logits(&logits);
            sampler.set_options(&[greedy; OUTPUTS]);
            sampler.set_positions(&[5; OUTPUTS]);
            let want = places.map(|places| *places.iter().min().unwrap() as u32);
            assert_eq!(sampler.draw(), want, "{parts:?}");
        }
    }
}

#[test]
fn greedy_rows_beside_drawing_rows_take_the_best() {
    const VOCAB: usize = 2000;
    let mut rng = Rng(99);
    let logits: Vec<f32> = (0..OUTPUTS * VOCAB).map(|_| rng.normal()).collect();
    let greedy = |output| output % 3 == 0;
    let options = std::array::from_fn(|output| SamplingOptions {
        temperature: if greedy(output) { 0.0 } else { 1.5 },
        repetition_penalty: 1.2,
        ..OFF
    });
    let mut sampler = Sampler::new(gpu(), VOCAB, ALL);
    sampler.set_logits(&logits);
    sampler.set_options(&options);
    let counts: Vec<Vec<u32>> = (0..OUTPUTS).map(|_| counts(&mut rng, VOCAB)).collect();
    let mut others = 0;
    for step in 0..8 {
        sampler.set_counts(&counts);
        sampler.set_positions(&[step; OUTPUTS]);
        for (output, token) in sampler.draw().into_iter().enumerate() {
            let logits = &logits[output * VOCAB..][..VOCAB];
            let best = Scene { logits, counts: &counts[output], options: options[output] }.best();
            assert!(token == best || !greedy(output), "output {output}: {token} instead of {best}");
            others += usize::from(token != best);
            let mut after = counts[output].clone();
            after[token as usize] += 1;
            assert!(sampler.counts(output) == after, "output {output}: {token} is not counted");
        }
    }
    assert!(others > 30, "hot rows took the best token {} times of 40", 40 - others);
}

#[test]
fn logits_that_are_not_numbers_choose_no_token() {
    const VOCAB: usize = 1500;
    let mut rng = Rng(7);
    for parts in [SamplingOptions::greedy().parts(), Sampling { draw: true, ..Sampling::default() }, ALL] {
        for executor in [gpu(), cpu()] {
            let mut sampler = Sampler::new(executor, VOCAB, parts);
            let temperature = if parts.draw { 1.0 } else { 0.0 };
            let options = SamplingOptions { temperature, top_k: if parts.top_k { 5 } else { 0 }, ..OFF };
            sampler.set_options(&[options; OUTPUTS]);
            sampler.set_positions(&[1; OUTPUTS]);
            let mut logits: Vec<f32> = (0..OUTPUTS * VOCAB).map(|_| rng.normal()).collect();
            logits[..VOCAB].fill(f32::NAN);
            logits[VOCAB..2 * VOCAB].fill(f32::from_bits(0xFFC0_DEAD));
            logits[2 * VOCAB..3 * VOCAB].fill(f32::NEG_INFINITY);
            sampler.set_logits(&logits);
            let tokens = sampler.draw();
            assert!(tokens[..3].iter().all(|&token| token as usize >= VOCAB), "{parts:?}: {tokens:?}");
            assert!(tokens[3..].iter().all(|&token| (token as usize) < VOCAB), "{parts:?}: {tokens:?}");
        }
    }
}

#[test]
fn tokens_of_minus_infinity_are_never_drawn() {
    const VOCAB: usize = 2500;
    let allowed = [3_u32, 1023, 1024, 2000, 2499];
    let mut logits = vec![f32::NEG_INFINITY; OUTPUTS * VOCAB];
    for output in 0..OUTPUTS {
        for (place, &token) in allowed.iter().enumerate() {
            logits[output * VOCAB + token as usize] = place as f32 * 0.1;
        }
    }
    let limits = [(0, 1.0), (3, 1.0), (40, 1.0), (0, 0.5), (0, 0.999_999), (40, 0.9), (7, 1.0), (1, 0.1)];
    let options = limits.map(|(top_k, top_p)| SamplingOptions { top_k, top_p, ..OFF });
    for executor in [gpu(), cpu()] {
        let mut sampler = Sampler::new(executor, VOCAB, ALL);
        sampler.set_logits(&logits);
        sampler.set_options(&options);
        sampler.set_counts(&vec![vec![0; VOCAB]; OUTPUTS]);
        for step in 0..50 {
            sampler.set_positions(&[step; OUTPUTS]);
            let tokens = sampler.draw();
            assert!(tokens.iter().all(|token| allowed.contains(token)), "{tokens:?}");
        }
    }
}
