//! What is timed.

use ffai::graph::{Case, CaseRecorder, Cases, Element, Format, Target};
use ffai::kernels::gate_mul::{Activation, gate_mul};
use ffai::kernels::matvec::{Around, matvec};
use ffai::kernels::{AT_SIZE, embed, gather_rows, log_prob, matmul, quantize, softcap};
use ffai::weights::format::FORMATS;

/// Ops that belong together, at one size.
pub(crate) struct Shape {
    /// What the ops compute.
    pub(crate) ops: &'static [&'static str],
    /// The format of their weights.
    pub(crate) format: Option<&'static Format>,
    name: String,
    record: Box<dyn Fn(&Target) -> Case>,
}

impl Shape {
    /// What criterion calls it: attention, whose variants are those of its softmax, behind that word.
    pub(crate) fn group(&self, target: &Target) -> String {
        let op = self.ops[0];
        let softmax = if op.starts_with("attend") { "softmax/" } else { "" };
        let name = if self.name.is_empty() { self.case(target).label } else { self.name.clone() };
        format!("{softmax}{op}/{name}")
    }

    /// The plan with its inputs, for what the target chooses.
    pub(crate) fn case(&self, target: &Target) -> Case {
        (self.record)(target)
    }
}

fn case(target: &Target, record: impl FnOnce(&mut CaseRecorder)) -> Case {
    let mut cases = Cases::new(target, &FORMATS, 0xBE7C, false);
    cases.case("", record);
    cases.cases.pop().unwrap()
}

fn without_weights(op: &'static [&'static str], name: &str, record: impl Fn(&mut CaseRecorder) + 'static) -> Shape {
    let record = Box::new(move |target: &Target| {
        case(target, |c| {
            // Four bytes to wait for, where the op itself binds no buffer.
            c.buffer(&[0u32]);
            record(c);
        })
    });
    Shape { ops: op, format: None, name: name.to_owned(), record }
}

fn product(op: &'static [&'static str], format: &'static str, [rows, cols, tokens]: [u32; 3]) -> Shape {
    let format = *FORMATS.iter().find(|known| known.name == format).unwrap();
    let record = Box::new(move |target: &Target| {
        case(target, |c| {
            let w = c.matrix(&[(format, rows)], cols);
            let x = c.normal(tokens, cols, 1.0);
            let y = match op[0] {
                "matvec" => matvec(&mut c.recorder, &w, x, Around::default()),
                _ => matmul::matmul(&mut c.recorder, &w, x, None),
            };
            c.check(y, Element::F32);
        })
    });
    Shape { ops: op, format: Some(format), name: format!("{} {rows} × {cols} × {tokens}", format.name), record }
}

/// Everything, attention first.
pub(crate) fn shapes() -> Vec<Shape> {
    let mut all: Vec<Shape> = AT_SIZE
        .iter()
        .map(|at_size| Shape {
            ops: at_size.kernels,
            format: None,
            name: String::new(),
            record: Box::new(|target| at_size.case(target)),
        })
        .collect();
    for format in ["q4_0", "q4_k", "f16"] {
        all.push(product(&["matvec"], format, [2048, 2048, 1]));
        all.push(product(&["matmul"], format, [512, 1024, 64]));
    }
    all.extend(small());
    all
}

/// Kernels that move numbers without products.
fn small() -> [Shape; 7] {
    [
        without_weights(&["gate_mul"], "64 × 8192", |c| {
            let x = c.normal(64, 2 * 8192, 1.0);
            let y = gate_mul(&mut c.recorder, x, Activation::Silu);
            c.check(y, Element::F32);
        }),
        without_weights(&["softcap"], "1 × 128000", |c| {
            let x = c.normal(1, 128_000, 40.0);
            let y = softcap::softcap(&mut c.recorder, x, 30.0);
            c.check(y, Element::F32);
        }),
        without_weights(&["gather_rows"], "8 of 64 × 4096", |c| {
            let (x, picks) = (c.normal(64, 4096, 1.0), c.buffer(&[63u32, 0, 7, 8, 1, 40, 41, 42]));
            let y = gather_rows::gather_rows(&mut c.recorder, x, picks);
            c.check(y, Element::F32);
        }),
        without_weights(&["log_prob"], "64 × 49152", |c| {
            let x = c.normal(64, 49_152, 4.0);
            let wanted: Vec<u32> = (0..64).map(|row| row * 700).collect();
            let wanted = c.buffer(&wanted);
            let (y, _) = log_prob::log_prob(&mut c.recorder, x, wanted);
            c.check(y, Element::F32);
        }),
        without_weights(&["quantize"], "256 × 4096, 4 bits in groups of 64", |c| {
            let x = c.normal(256, 4096, 1.0);
            let y = quantize::quantize(&mut c.recorder, x, 4, 64);
            c.check(y.words, Element::U32);
        }),
        without_weights(&["embed"], "64 of 4096 × 2048", |c| {
            let format = *FORMATS.iter().find(|format| format.name == "q8_0").unwrap();
            let w = c.matrix(&[(format, 4096)], 2048);
            let rows: Vec<u32> = (0..64).flat_map(|row| [row * 61, 0, 0, 0]).collect();
            let rows = c.buffer(&rows);
            let x = embed::embed(&mut c.recorder, &w, rows, 1.0);
            c.check(x, Element::F32);
        }),
        rotation(),
    ]
}

/// Rotary positions with the pages that they are stored in: the largest of the kernel's own cases.
fn rotation() -> Shape {
    let record = |target: &Target| {
        let kernel = ffai::kernels::ways("rope_store").next().unwrap();
        let mut cases = Cases::new(target, &FORMATS, 0xBE7C, false);
        (kernel.cases)(&mut cases);
        cases.cases.into_iter().max_by_key(|case| case.plan.cost().bytes()).unwrap()
    };
    Shape { ops: &["rope_store"], format: None, name: String::new(), record: Box::new(record) }
}
