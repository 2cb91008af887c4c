//! What overrides load from device memory, counted: the bytes of a step are the speed of decoding.

use crate::msl_emu::executor::{Emulator, apple};
use crate::msl_emu::{self, Layer, Loads, Schedule};
use crate::overrides::translate;
use ffai::graph::{CaseRecorder, Cases, Element, Format};
use ffai::kernels::attend_decode::attend_decode;
use ffai::kernels::matmul::matmul;
use ffai::kernels::matvec::{Around, matvec};
use ffai::kernels::paged::{Heads, PAGE, Pages, Scores};
use ffai::weights::format::FORMATS;
use rayon::prelude::*;

/// What the first op of a case loads from each of its slots.
fn loads(record: impl FnOnce(&mut CaseRecorder)) -> Vec<Loads> {
    let mut cases = Cases::new(&apple(), &FORMATS, 21, false);
    cases.case("loads", record);
    let mut emulator = Emulator::new(translate, Layer::Loads, Schedule::Forward);
    ffai::doctor::run(&mut emulator, &cases.cases[0]).unwrap();
    emulator.loads.swap_remove(0)
}

fn formats() -> Vec<&'static Format> {
    FORMATS.iter().copied().filter(|format| !format.metal.is_empty() && !format.variant).collect()
}

#[test]
fn weights_are_read_once_and_activations_once_per_group_of_rows() {
    if !msl_emu::available() {
        return;
    }
    let (rows, cols) = (32, 2048);
    formats().par_iter().for_each(|format| {
        for width in [1, 2, 5, 8] {
            let loads = loads(|c| {
                let w = c.matrix(&[(*format, rows)], cols);
                let x = c.normal(width, cols, 1.0);
                let y = matvec(&mut c.recorder, &w, x, Around::default());
                c.check(y, Element::F32);
            });
            let blocks = (rows * cols) as usize / Format::BLOCK;
            let place = format!("{} width {width}", format.name);
            assert_eq!(loads[0].total, format.quants_len(blocks) as u64, "{place}: quants");
            // 8 rows to a group, as the prelude says.
            let groups = u64::from(rows) / 8;
            assert_eq!(loads[3].total, groups * u64::from(width * cols) * 4, "{place}: activations");
            if format.scales_len(blocks) > 0 {
                assert_eq!(loads[1].distinct, format.scales_len(blocks) as u64, "{place}: scales");
            }
        }
    });
}

#[test]
fn tiles_read_weights_once_per_tile_of_tokens_and_activations_once_per_tile_of_rows() {
    if !msl_emu::available() {
        return;
    }
    let (rows, cols, tokens) = (128, 256, 64);
    formats().par_iter().for_each(|format| {
        let loads = loads(|c| {
            let w = c.matrix(&[(*format, rows)], cols);
            let x = c.normal(tokens, cols, 1.0);
            let y = matmul(&mut c.recorder, &w, x, None);
            c.check(y, Element::F32);
        });
        let blocks = (rows * cols) as usize / Format::BLOCK;
        let tiles = u64::from(tokens) / 32;
        assert_eq!(loads[0].total, tiles * format.quants_len(blocks) as u64, "{}: quants", format.name);
        assert_eq!(loads[2].total, u64::from(rows) / 64 * u64::from(tokens * cols) * 4, "{}: x", format.name);
    });
}

#[test]
fn keys_and_values_are_read_once_for_all_query_heads_that_share_them() {
    if !msl_emu::available() {
        return;
    }
    for (element, group, length) in [(Element::F16, 1, 128u32), (Element::F16, 4, 256), (Element::F32, 8, 192)] {
        let heads = Heads { heads: 2 * group, kv_heads: 2, head_dim: 64 };
        let loads = loads(|c| {
            let pages = length.div_ceil(PAGE);
            let bytes = u64::from(pages * PAGE) * heads.key_bytes(element);
            let keys = c.buffer(&vec![0u8; bytes as usize]);
            let values = c.buffer(&vec![0u8; bytes as usize]);
            let table: Vec<u32> = (0..pages).collect();
            let table = c.buffer(&table);
            let pages = Pages { keys, values, table, max_pages: pages, element };
            let rows = c.buffer(&[0, length - 1, 0, 0]);
            let q = c.normal(1, heads.query_cols(), 1.0);
            let y = attend_decode(&mut c.recorder, q, rows, &heads, &Scores::plain(64), &pages, length.div_ceil(128));
            c.check(y, Element::F32);
        });
        let once = u64::from(length) * heads.key_bytes(element);
        assert_eq!(loads[3].total, once, "keys of {group} heads, {length} positions");
        assert_eq!(loads[4].total, once, "values of {group} heads, {length} positions");
    }
}
