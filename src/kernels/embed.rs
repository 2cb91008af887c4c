//! Rows of the embedding, by token.

use super::{input, output, spread, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Format, Kernel, Matrix, Recorder, Slice, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "embed",
    about: "rows of the embedding matrix, by token",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/dequantize.wgsl"), include_str!("../../wgsl/embed.wgsl")],
    metal: None,
    bindings: &[weight("quants"), weight("scales"), input("rows"), output("x")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 1e-14, worst: 1e-5 },
};

/// The embedding of each row's token times `scale`: `[tokens, cols]`. `rows` holds 16 bytes per row: token, position, sequence, nothing.
///
/// Every token must be below the matrix's rows: others leave their row undefined.
pub fn embed(r: &mut Recorder, w: &Matrix, rows: Slice, scale: f32) -> Tensor {
    let tokens = (rows.bytes / 16) as u32;
    let x = r.tensor(tokens, w.cols);
    let mut first = 0;
    for block in &w.blocks {
        let blocks = w.cols / Format::BLOCK as u32;
        let row_bytes = block.bytes() / u64::from(block.rows);
        let constants =
            Constants::new().u32("BLOCKS", blocks).u32("FIRST", first).u32("ROWS", block.rows).f32("SCALE", scale);
        let groups = (tokens * blocks).div_ceil(64);
        let workgroups = spread(groups, r.target().max_workgroups);
        r.push(Dispatch {
            kernel: &KERNEL,
            format: Some(block.format),
            constants,
            operands: &[block.quants.into(), block.scales.into(), rows.into(), x.into()],
            workgroups,
            // Every block is charged for the rows: which of them holds a token is known on the device alone.
            cost: Cost { weight_bytes: u64::from(tokens) * row_bytes, activation_bytes: x.bytes(), ..Cost::default() },
        });
        first += block.rows;
    }
    x
}

fn cpu(t: &mut Twin<'_>) {
    let (cols, first, count) = (t.u32("BLOCKS") * Format::BLOCK, t.u32("FIRST"), t.u32("ROWS"));
    let scale = t.f32("SCALE");
    let (format, quants, scales, rows) = (t.format(), t.bytes(0), t.bytes(1), t.words(2));
    let x = t.take_floats(3);
    for (row, out) in rows.chunks_exact(4).zip(x.chunks_exact_mut(cols)) {
        let token = row[0] as usize;
        if (first..first + count).contains(&token) {
            format.row(quants, scales, token - first, out);
            for value in out {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
    }
}

fn cases(cases: &mut Cases) {
    for (index, format) in cases.formats().to_vec().into_iter().enumerate() {
        let scale = [1.0, 25.298_22][index % 2];
        cases.case(format!("{} times {scale}", format.name), |c| {
            let w = c.matrix(&[(format, 37)], 96u32.next_multiple_of(format.granule() as u32));
            record(c, &w, &[36, 0, 7, 7, 21], scale);
        });
    }
    let (first, second) = (cases.formats()[0], cases.formats()[3]);
    cases.case("two blocks", |c| {
        let w = c.matrix(&[(first, 12), (second, 9)], 64);
        record(c, &w, &[20, 11, 12, 0], 0.5);
    });
}

fn record(c: &mut crate::graph::CaseRecorder, w: &Matrix, tokens: &[u32], scale: f32) {
    let rows: Vec<u32> = tokens.iter().flat_map(|&token| [token, 0, 0, 0]).collect();
    let rows = c.buffer(&rows);
    let x = embed(&mut c.recorder, w, rows, scale);
    c.check(x, Element::F32);
}
