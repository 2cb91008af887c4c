//! Tracy's client as a sink: zones of threads, plots, frames and messages.

use super::super::{DeviceRun, OpenSpans, Sink};
use super::device::Device;
use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;
use tracy_client::{Client, PlotName, Span, SpanLocation, span_location};

/// Longer names are cut: Tracy copies a name into a buffer whose length it counts in 16 bits.
const LONGEST: usize = 1024;

/// Tracy's thread sends every 10 ms or sooner, so this is plenty.
const SENDING: Duration = Duration::from_millis(200);

thread_local! {
    /// Spans of this thread, each with its zone where a profiler was connected when it began. A zone ends by [`Sink::end`] alone: at
    /// the end of a thread Tracy's own state of it may be gone.
    static OPEN: RefCell<OpenSpans<Option<ManuallyDrop<Span>>>> = const { RefCell::new(OpenSpans::new()) };
}

/// The one sink of this process, whose client it has started.
pub(super) fn start() -> Arc<dyn Sink> {
    static STARTED: OnceLock<Arc<Tracy>> = OnceLock::new();
    STARTED.get_or_init(|| Arc::new(Tracy::new(Client::start()))).clone()
}

pub(super) fn settle() {
    if Client::is_connected() {
        thread::sleep(SENDING);
    }
}

pub(super) fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST)]
}

struct Tracy {
    client: Client,
    device: Mutex<Device>,
    /// Plots so far: Tracy wants names that end with a zero and stay where they are.
    plots: Mutex<HashMap<&'static str, PlotName>>,
}

impl Tracy {
    fn new(client: Client) -> Self {
        let device = Mutex::new(Device::new(client.clone()));
        Self { client, device, plots: Mutex::default() }
    }

    fn zone(&self, name: &'static str) -> Span {
        match location(name) {
            Some(location) => self.client.clone().span(location, 0),
            None => self.client.clone().span_alloc(Some(cut(name)), "", file!(), line!(), 0),
        }
    }
}

/// The engine's own zones need not be described each time.
fn location(name: &str) -> Option<&'static SpanLocation> {
    Some(match name {
        "model_load" => span_location!("model_load"),
        "prewarm" => span_location!("prewarm"),
        "prefill" => span_location!("prefill"),
        "decode_step" => span_location!("decode_step"),
        "sampling" => span_location!("sampling"),
        _ => return None,
    })
}

impl Sink for Tracy {
    fn begin(&self, name: &'static str) {
        let zone = Client::is_connected().then(|| ManuallyDrop::new(self.zone(name)));
        // A span that begins while its thread ends has no zone.
        let _ = OPEN.try_with(|open| open.borrow_mut().begin(name, zone));
    }

    fn end(&self, name: &'static str) {
        let end = |_, zone: Option<ManuallyDrop<Span>>| drop(zone.map(ManuallyDrop::into_inner));
        let _ = OPEN.try_with(|open| open.borrow_mut().end(name, end));
    }

    fn event(&self, name: &'static str) {
        if Client::is_connected() {
            self.client.message(cut(name), 0);
        }
    }

    fn plot(&self, name: &'static str, value: f64) {
        if Client::is_connected() {
            let mut plots = self.plots.lock().unwrap_or_else(PoisonError::into_inner);
            let name = *plots.entry(name).or_insert_with(|| PlotName::new_leak(cut(name).replace('\0', " ")));
            self.client.plot(name, value);
        }
    }

    fn frame(&self) {
        // Counted by the client also where nobody is connected.
        self.client.frame_mark();
    }

    fn device(&self, run: &DeviceRun<'_>) {
        if Client::is_connected() {
            self.device.lock().unwrap_or_else(PoisonError::into_inner).tell(run);
        }
    }
}
