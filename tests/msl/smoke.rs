use crate::msl_emu::{Launch, Layer, Program, Schedule, check};

#[test]
fn smoke() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/msl_emu/kernels/norm.metal")).unwrap();
    println!("{:?}", check("norm.metal", &text));
    for schedule in [Schedule::Forward, Schedule::Reverse, Schedule::Random(3)] {
        for layer in [Layer::Plain, Layer::Bounds, Layer::Races, Layer::Loads] {
            let t = std::time::Instant::now();
            let p = Program::build("norm.metal", &text, layer).unwrap();
            println!("{layer:?} built {:?}", t.elapsed());
            let t = std::time::Instant::now();
            let x: Vec<u8> = (0..1024).flat_map(|i| half::f16::from_f32(i as f32 / 64.0).to_le_bytes()).collect();
            let w: Vec<u8> = (0..512).flat_map(|_| 1f32.to_le_bytes()).collect();
            let mut pr = 512u32.to_le_bytes().to_vec();
            pr.extend(1e-5f32.to_le_bytes());
            let y = vec![0u8; 2048];
            let o = p.run(&Launch {
                entry: "rms_norm",
                workgroups: [2, 1, 1],
                threads: [128, 1, 1],
                buffers: &[x, w, y, pr],
                writable: &[false, false, true, false],
                schedule,
            });
            println!(
                "{layer:?} {:?} {:?}",
                t.elapsed(),
                o.map(|o| (half::f16::from_le_bytes([o.buffers[2][4], o.buffers[2][5]]), o.loads))
            );
        }
    }
}
