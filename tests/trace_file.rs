//! Timelines in files keep the rules of the Trace Event format, whatever they are told.

#[path = "support/trace_format.rs"]
mod trace_format;

use ffai::observe::{DeviceRun, DeviceZone, Sink, TraceFile};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use trace_format::{Event, read, read_broken_off};

/// Names as nobody should give them.
const NAMES: [&str; 9] = [
    "decode_step",
    "",
    "\"quoted\" \\ {}[],:",
    "line\nbreak\ttab\r",
    "\u{0}\u{1}\u{1f}\u{7f}",
    "schön 日本語 🦀 \u{202e}",
    "\u{2028}\u{feff}\u{10ffff}",
    "</script>",
    "a name that is longer than others: matvec×3+rope+attention+matvec+silu, 4096 × 11008, q4_k, of layer 31",
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Numbers that look random: the high half of a linear congruential generator (Knuth, MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) % end
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len() as u64) as usize]
    }

    /// Zones of any depth and order, some of which end before they begin or lie before the file.
    fn zones(&mut self, start: Instant) -> Vec<DeviceZone> {
        let mut at = || {
            let apart = Duration::from_nanos(self.below(5_000_000));
            if self.below(8) == 0 { start.checked_sub(apart).unwrap_or(start) } else { start + apart }
        };
        let times: Vec<(Instant, Instant)> = (0..30).map(|_| (at(), at())).collect();
        let zone =
            |(begun, ended)| DeviceZone { name: self.name().to_owned(), depth: self.below(6) as usize, begun, ended };
        times.into_iter().map(zone).collect()
    }
}

/// Tells a sink all kinds of things, spans that never end and ends that never began among them.
fn babble(sink: &dyn Sink, seed: u64, steps: u64, start: Instant) {
    let mut numbers = Numbers(seed);
    let values = [0.0, -1.5, 1e300, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY];
    for _ in 0..steps {
        match numbers.below(20) {
            0..8 => sink.begin(numbers.name()),
            8..15 => sink.end(numbers.name()),
            15 => sink.event(numbers.name()),
            16 => sink.plot(numbers.name(), values[numbers.below(6) as usize]),
            17 => sink.frame(),
            _ => sink.device(&DeviceRun { zones: &numbers.zones(start) }),
        }
    }
}

#[test]
fn whatever_is_told_the_file_keeps_the_formats_rules() {
    for seed in 0..10 {
        let path = path(&format!("trace-{seed}.json"));
        let file = TraceFile::create(&path).unwrap();
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let file = &file;
                std::thread::Builder::new()
                    .name(NAMES[2 + thread as usize].replace('\0', ""))
                    .spawn_scoped(scope, move || babble(file, 100 * seed + thread, 300, start))
                    .unwrap();
            }
        });
        file.finish().unwrap();
        let written = fs::read_to_string(&path).unwrap();
        let events = read(&written).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(events.len() > 1000);
        // What is told afterwards is left out, and finishing again is no mistake.
        babble(&file, seed, 50, start);
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), written);
        // As if the run had been killed, anywhere.
        let mut numbers = Numbers(seed);
        for _ in 0..10 {
            let mut end = numbers.below(written.len() as u64) as usize;
            end -= (0..4).find(|back| written.is_char_boundary(end - back)).unwrap();
            read_broken_off(&written[..end]).unwrap();
        }
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_is_told_is_what_stands_there() {
    let path = path("trace-known.json");
    let file = TraceFile::create(&path).unwrap();
    let start = Instant::now();
    let zone = |name: &str, depth, begun, ended| DeviceZone {
        name: name.to_owned(),
        depth,
        begun: start + Duration::from_nanos(begun),
        ended: start + Duration::from_nanos(ended),
    };
    file.begin("decode_step");
    file.begin("sampling");
    std::thread::sleep(Duration::from_millis(2));
    file.end("sampling");
    file.device(&DeviceRun { zones: &[zone("layer 0", 0, 1000, 9000), zone("matvec", 1, 1500, 4123)] });
    file.plot("cache tokens", 7.5);
    file.event("ttft");
    file.frame();
    file.finish().unwrap();

    let events = read(&fs::read_to_string(&path).unwrap()).unwrap();
    let told = |event: &Event| format!("{} {}", event.phase, event.name);
    let main: Vec<String> = events.iter().filter(|event| event.phase != "M" && event.lane != 1).map(told).collect();
    assert_eq!(
        main,
        ["B decode_step", "B sampling", "E sampling", "C cache tokens", "i ttft", "i token", "E decode_step"]
    );
    let device: Vec<&Event> = events.iter().filter(|event| event.phase != "M" && event.lane == 1).collect();
    assert_eq!(
        device.iter().map(|event| told(event)).collect::<Vec<_>>(),
        ["B layer 0", "B matvec", "E matvec", "E layer 0"]
    );
    let since: Vec<u64> = device.iter().map(|event| ((event.time - device[0].time) * 1e3).round() as u64).collect();
    assert_eq!(since, [0, 500, 3123, 8000]);
    let find = |wanted: &str| events.iter().find(|event| told(event) == wanted).unwrap();
    assert_eq!(find("C cache tokens").arguments["value"], 7.5);
    assert!(find("E sampling").time - find("B sampling").time >= 2000.0, "microseconds");
    let names: Vec<&str> = events.iter().filter_map(|event| event.arguments["name"].as_str()).collect();
    assert_eq!(names, ["ffai", "GPU", std::thread::current().name().unwrap()]);
    fs::remove_file(&path).unwrap();
}

#[test]
fn files_that_break_the_rules_are_found_out() {
    let metadata = r#"{"name":"thread_name","ph":"M","ts":0,"pid":1,"tid":2,"args":{"name":"main"}}"#;
    let read = |events: &str| read(&format!("[{metadata}{events}]"));
    let event = |name: &str, phase: &str, time: f64| {
        format!(r#",{{"name":"{name}","ph":"{phase}","ts":{time},"pid":1,"tid":2}}"#)
    };
    assert!(read(&(event("a", "B", 1.0) + &event("a", "E", 1.0))).is_ok());
    let crossed = [event("a", "B", 1.0), event("b", "B", 1.0), event("a", "E", 2.0), event("b", "E", 2.0)].concat();
    for broken in [
        event("a", "B", 1.0),
        event("a", "E", 1.0),
        event("a", "B", 2.0) + &event("a", "E", 1.0),
        crossed,
        event("a", "C", 1.0),
        event("a", "i", 1.0),
        event("a", "Q", 1.0),
        event("a", "B", -1.0),
        event("a\u{1}", "i", 1.0),
        r#",{"ph":"B","ts":1,"pid":1,"tid":2}"#.to_owned(),
        r#",{"name":"a","ph":"i","s":"t","ts":1,"pid":1,"tid":3}"#.to_owned(),
        r#",{"name":"a","ph":"i","s":"t","ts":1,"pid":2,"tid":2}"#.to_owned(),
        ",".to_owned(),
    ] {
        assert!(read(&broken).is_err(), "{broken}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_at_once() {
    let error = TraceFile::create(path("no such folder/trace.json")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write a trace to ") && error.contains("no such folder/trace.json: "), "{error}");
    assert!(TraceFile::create(env!("CARGO_TARGET_TMPDIR")).is_err(), "a folder");
    if Path::new("/dev/full").exists() {
        let error = TraceFile::create("/dev/full").unwrap_err();
        assert_eq!(error.source.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }
}
