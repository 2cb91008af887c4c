//! What the engine tells reaches a profiler that connects: another process runs Tracy's client, and a profiler of our own decodes.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod client;
mod script;
mod table;

use client::{Profiler, Zone};
use ffai::observe::{self, DeviceRun, DeviceZone, Level};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tracy_client::Client;

/// The other process, which does what it is told line by line.
struct Told {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Told {
    fn start(port: u16) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["the_other_process", "--exact", "--ignored", "--nocapture"]).env("TRACY_PORT", port.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// Sends an order and gives the answer.
    fn order(&mut self, order: &str) -> String {
        writeln!(self.input, "{order}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the other process ended");
            if let Some(answer) = line.trim().strip_prefix("answer: ") {
                return answer.to_owned();
            }
        }
    }

    fn await_state(&mut self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.order("state") != wanted {
            assert!(Instant::now() < deadline, "not {wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn expect_script(profiler: &Profiler) {
    let told = &profiler.told;
    let names = |zones: &[Zone]| zones.iter().map(|zone| (zone.name.clone(), zone.depth)).collect::<Vec<_>>();
    let owned =
        |zones: Vec<(&str, usize)>| zones.into_iter().map(|(name, depth)| (name.to_owned(), depth)).collect::<Vec<_>>();
    let threads = told.threads();
    let mut found: Vec<_> = threads.iter().map(|zones| names(zones)).collect();
    found.sort_by_key(Vec::len);
    assert_eq!(found, [owned(script::other_thread()), owned(script::main_thread())]);
    for zone in threads.iter().flatten() {
        assert!(zone.begun <= zone.ended, "{zone:?}");
    }

    let mut device = told.device();
    let first = device[0].begun;
    for zone in &mut device {
        (zone.begun, zone.ended) = (zone.begun - first, zone.ended - first);
    }
    let expected = script::device();
    assert_eq!(device.len(), expected.len());
    for (zone, expected) in device.iter().zip(&expected) {
        assert_eq!(zone, expected);
    }

    assert_eq!(told.contexts, ["GPU"]);
    assert_eq!(told.plots(), script::plots());
    assert_eq!(told.frames, 5);
    // Tracy has messages of its own: that it has read the kernel's symbols, whenever it is done with them.
    let messages: Vec<&String> = told.messages.iter().filter(|message| !message.starts_with("Loaded ")).collect();
    assert_eq!(messages, ["ttft", script::LAST]);
}

#[test]
fn a_profiler_gets_zones_of_threads_and_of_the_device_plots_frames_and_messages() {
    assert!(script::device().len() * 2 > 1 << 16, "queries come round");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut other = Told::start(port);
    assert_eq!(other.order("state"), "alone");
    // Nobody listens: none of it may come later.
    assert_eq!(other.order("tell"), "told");
    assert_eq!(other.order("begin"), "begun");

    let mut profiler = Profiler::connect(port);
    other.await_state("connected");
    // A zone that began before the profiler came has no end for it.
    assert_eq!(other.order("end"), "ended");
    assert_eq!(other.order("tell"), "told");
    profiler.read_until(script::LAST);
    expect_script(&profiler);

    // The next one is told the same; zones that the first was told the beginning of do not end for it.
    assert_eq!(other.order("begin"), "begun");
    drop(profiler);
    other.await_state("alone");
    assert_eq!(other.order("tell"), "told");
    let mut profiler = Profiler::connect(port);
    other.await_state("connected");
    assert_eq!(other.order("end"), "ended");
    assert_eq!(other.order("tell later"), "told");
    profiler.read_until(script::LAST);
    expect_script(&profiler);

    // Names that are longer than Tracy can hold.
    assert_eq!(other.order("long"), "told");
    profiler.read_until("long told");
    let cut = profiler.told.device().pop().unwrap();
    assert!(cut.name.len() <= 1024 && cut.name.starts_with("éé"), "{} bytes", cut.name.len());
}

/// Not a test by itself: what the test above starts.
#[test]
#[ignore = "the other process of a test"]
fn the_other_process() {
    observe::attach(observe::tracy::start().unwrap());
    observe::set_level(Level::Spans);
    let start = Instant::now() + Duration::from_millis(1);
    let mut open = None;
    for order in std::io::stdin().lines() {
        let answer = match order.unwrap().as_str() {
            "state" if Client::is_connected() => "connected",
            "state" => "alone",
            "begin" => {
                open = Some(observe::span("across"));
                "begun"
            }
            "end" => {
                drop(open.take());
                "ended"
            }
            "tell" => {
                script::tell(start);
                "told"
            }
            // After all that the lane was told before.
            "tell later" => {
                script::tell(start + Duration::from_secs(10));
                "told"
            }
            "long" => {
                let begun = start + Duration::from_secs(20);
                let zone = DeviceZone { name: "é".repeat(100_000), depth: 0, begun, ended: begun };
                observe::device(&DeviceRun { zones: &[zone] });
                observe::event("long told");
                "told"
            }
            order => panic!("{order}"),
        };
        println!("answer: {answer}");
    }
}
