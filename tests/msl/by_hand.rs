//! Runs one file, as `docs/metal-emulator.md` tells.

use crate::msl_emu::{Launch, Layer, Program, Schedule, check};
use ffai::graph::Rng;

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see docs/metal-emulator.md"))
}

/// A buffer of `wf1024`: may be written, small floats, bytes.
fn buffer(rng: &mut Rng, what: &str) -> (bool, Vec<u8>) {
    let flags: String = what.chars().take_while(char::is_ascii_alphabetic).collect();
    let bytes: usize = what[flags.len()..].parse().unwrap_or_else(|error| panic!("buffer `{what}`: {error}"));
    let content: Vec<u8> = if flags.contains('f') {
        (0..bytes / 4).flat_map(|_| rng.normal().to_le_bytes()).collect()
    } else {
        (0..bytes).map(|_| rng.bits() as u8).collect()
    };
    (flags.contains('w'), content)
}

#[test]
#[ignore = "for people: needs FFAI_MSL and its companions"]
fn by_hand() {
    let (file, entry, grid) = (setting("FFAI_MSL"), setting("FFAI_MSL_ENTRY"), setting("FFAI_MSL_GRID"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let name = file.rsplit('/').next().unwrap_or(&file);
    match check(name, &text) {
        Ok(()) => println!("check: sound"),
        Err(error) => println!("check:\n{error}"),
    }
    let (workgroups, threads) =
        grid.split_once('x').unwrap_or_else(|| panic!("FFAI_MSL_GRID is `{grid}`, not like 8x64"));
    let mut rng = Rng(1);
    let (writable, buffers): (Vec<bool>, Vec<Vec<u8>>) =
        setting("FFAI_MSL_BUFFERS").split(',').map(|what| buffer(&mut rng, what)).unzip();
    let mut first = None;
    let mut failed = false;
    for layer in [Layer::Plain, Layer::Bounds, Layer::Races, Layer::Loads] {
        let program = Program::build(name, &text, layer).unwrap_or_else(|error| panic!("{error}"));
        for schedule in [Schedule::Forward, Schedule::Reverse, Schedule::Random(1)] {
            let launch = Launch {
                entry: &entry,
                workgroups: [workgroups.parse().unwrap(), 1, 1],
                threads: [threads.parse().unwrap(), 1, 1],
                buffers: &buffers,
                writable: &writable,
                schedule,
            };
            match program.run(&launch) {
                Err(error) => {
                    println!("{error}");
                    failed = true;
                }
                Ok(outcome) => {
                    let same = *first.get_or_insert_with(|| outcome.buffers.clone()) == outcome.buffers;
                    println!("{layer:?}, {schedule:?}: {}", if same { "ran" } else { "ran, with another result" });
                    failed |= !same;
                    if schedule == Schedule::Forward {
                        for (slot, loads) in outcome.loads.iter().enumerate() {
                            let (total, distinct, stored) = (loads.total, loads.distinct, loads.stored);
                            println!(
                                "  buffer {slot}: loaded {total} bytes, {distinct} without repetition, stored {stored}"
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(!failed, "not every run agreed");
}
