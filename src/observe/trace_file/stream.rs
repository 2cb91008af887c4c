//! Events of the Trace Event format, on their way to a file.

use super::super::device_lane::{DeviceLane, Edge};
use crate::observe::{DeviceRun, OpenSpans};
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, Write};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// So many bytes are written at once, in whole events.
const PIECE: usize = 64 << 10;
/// What is told is in the file so long after, if anything is told by then: a run that is killed leaves all but its end.
const LATE: Duration = Duration::from_secs(1);

/// Lanes go by numbers of our own: 0 means something else to Perfetto.
const DEVICE: u32 = 1;
const FIRST_THREAD: u32 = 2;

/// One event, by the format's names of its fields.
#[derive(Serialize)]
struct Event<'a> {
    name: &'a str,
    ph: &'static str,
    /// Microseconds.
    ts: f64,
    pid: u32,
    tid: u32,
    /// Of an instant: how far its mark reaches, `t` for the thread and `p` for the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Argument<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Argument<'a> {
    Name(&'a str),
    Value(f64),
    SortIndex(u32),
}

#[derive(Debug)]
struct Lane {
    number: u32,
    open: OpenSpans<()>,
}

/// Writes events to `W`, and nothing more after a write that failed.
#[derive(Debug)]
pub(super) struct Stream<W> {
    to: W,
    process: u32,
    origin: Instant,
    threads: HashMap<ThreadId, Lane>,
    device: DeviceLane,
    /// Whole events that are not written yet.
    buffer: Vec<u8>,
    written: Instant,
    empty: bool,
    finished: bool,
    failure: Option<io::Error>,
}

impl<W: Write> Stream<W> {
    /// Writes the beginning. Times count from `origin`.
    ///
    /// # Errors
    /// The first write failed.
    pub(super) fn begin(to: W, origin: Instant) -> io::Result<Self> {
        let mut stream = Self {
            to,
            process: std::process::id(),
            origin,
            threads: HashMap::new(),
            device: DeviceLane::new(origin),
            buffer: b"[".to_vec(),
            written: origin,
            empty: true,
            finished: false,
            failure: None,
        };
        stream.about("process_name", FIRST_THREAD, Argument::Name("ffai"));
        stream.about("thread_name", DEVICE, Argument::Name("GPU"));
        stream.about("thread_sort_index", DEVICE, Argument::SortIndex(DEVICE));
        stream.flush(origin);
        match stream.failure.take() {
            None => Ok(stream),
            Some(error) => Err(error),
        }
    }

    pub(super) fn begin_span(&mut self, name: &'static str, now: Instant) {
        let lane = self.lane();
        lane.open.begin(name, ());
        let number = lane.number;
        self.push(number, "B", name, self.nanoseconds(now));
        self.settle(now);
    }

    pub(super) fn end_span(&mut self, name: &'static str, now: Instant) {
        let lane = self.lane();
        let (number, mut ended) = (lane.number, Vec::new());
        lane.open.end(name, |name, ()| ended.push(name));
        for name in ended {
            self.push(number, "E", name, self.nanoseconds(now));
        }
        self.settle(now);
    }

    pub(super) fn instant(&mut self, name: &str, scope: &'static str, now: Instant) {
        let (tid, ts) = (self.lane().number, microseconds(self.nanoseconds(now)));
        self.write(&Event { name, ph: "i", ts, pid: self.process, tid, s: Some(scope), args: None });
        self.settle(now);
    }

    /// A value; JSON has none that are not finite.
    pub(super) fn counter(&mut self, name: &str, value: f64, now: Instant) {
        if value.is_finite() {
            let (tid, ts) = (self.lane().number, microseconds(self.nanoseconds(now)));
            let args = Some(Argument::Value(value));
            self.write(&Event { name, ph: "C", ts, pid: self.process, tid, s: None, args });
        }
        self.settle(now);
    }

    pub(super) fn device(&mut self, run: &DeviceRun<'_>, now: Instant) {
        // Taken out for as long as its edges are written.
        let mut device = std::mem::replace(&mut self.device, DeviceLane::new(self.origin));
        device.edges(run, |edge, time| match edge {
            Edge::Begin(name) => self.push(DEVICE, "B", name, time),
            Edge::End(name) => self.push(DEVICE, "E", name, time),
        });
        self.device = device;
        self.settle(now);
    }

    /// Ends what is open, and the file.
    ///
    /// # Errors
    /// The first write that failed; told once.
    pub(super) fn finish(&mut self, now: Instant) -> io::Result<()> {
        if !self.finished {
            let mut lanes: Vec<Lane> = self.threads.drain().map(|(_, lane)| lane).collect();
            lanes.sort_by_key(|lane| lane.number);
            for mut lane in lanes {
                lane.open.end_all(|name, ()| self.push(lane.number, "E", name, self.nanoseconds(now)));
            }
            self.buffer.extend_from_slice(b"\n]\n");
            self.flush(now);
            self.finished = true;
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The calling thread's lane; a new one is announced.
    fn lane(&mut self) -> &mut Lane {
        let thread = thread::current();
        if !self.threads.contains_key(&thread.id()) {
            let number = FIRST_THREAD + self.threads.len() as u32;
            let name = thread.name().map_or_else(|| format!("thread {}", number - FIRST_THREAD), str::to_owned);
            self.about("thread_name", number, Argument::Name(&name));
            self.about("thread_sort_index", number, Argument::SortIndex(number));
        }
        let number = FIRST_THREAD + self.threads.len() as u32;
        self.threads.entry(thread.id()).or_insert_with(|| Lane { number, open: OpenSpans::new() })
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Something about a lane or the process.
    fn about(&mut self, name: &str, tid: u32, argument: Argument<'_>) {
        self.write(&Event { name, ph: "M", ts: 0.0, pid: self.process, tid, s: None, args: Some(argument) });
    }

    fn push(&mut self, tid: u32, ph: &'static str, name: &str, nanoseconds: u64) {
        self.write(&Event { name, ph, ts: microseconds(nanoseconds), pid: self.process, tid, s: None, args: None });
    }

    fn write(&mut self, event: &Event<'_>) {
        if self.finished || self.failure.is_some() {
            return;
        }
        self.buffer.extend_from_slice(if self.empty { b"\n" } else { b",\n" });
        self.empty = false;
        if let Err(error) = serde_json::to_writer(&mut self.buffer, event) {
            self.failure = Some(error.into());
        }
        if self.buffer.len() >= PIECE {
            self.flush(self.written);
        }
    }

    /// Writes what has waited for too long.
    fn settle(&mut self, now: Instant) {
        if now.saturating_duration_since(self.written) >= LATE {
            self.flush(now);
        }
    }

    fn flush(&mut self, now: Instant) {
        if self.failure.is_none() && !self.finished {
            self.failure = self.to.write_all(&self.buffer).and_then(|()| self.to.flush()).err();
        }
        self.buffer.clear();
        self.written = now;
    }
}

/// As the format counts; a `f64` keeps nanoseconds apart for a hundred days.
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}
