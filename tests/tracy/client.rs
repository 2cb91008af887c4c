//! A profiler without a window: connects to Tracy's client, decodes what it sends, and asks for names, as Tracy's server does.

use crate::table::{BLOCK, MESSAGES, ON_DEMAND, Query, VERSION, WELCOME};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The part of decompressed text that LZ4 refers back to.
const HISTORY: usize = 64 << 10;

/// A zone, by nanoseconds of its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) name: String,
    /// How many zones it lies in.
    pub(crate) depth: usize,
    pub(crate) begun: i64,
    pub(crate) ended: i64,
}

/// A name, or where it lies in the other process.
#[derive(Clone, Debug)]
enum Name {
    Known(String),
    Location(u64),
}

#[derive(Debug)]
struct Open {
    name: Name,
    depth: usize,
    begun: Option<i64>,
    ended: Option<i64>,
}

/// What was told since the connection was made.
#[derive(Default)]
pub(crate) struct Told {
    /// Zones of threads, by thread.
    cpu: BTreeMap<u32, Vec<Open>>,
    gpu: Vec<Open>,
    plots: Vec<(u64, f64)>,
    pub(crate) frames: usize,
    pub(crate) messages: Vec<String>,
    pub(crate) contexts: Vec<String>,
    /// Names, by where they lie in the other process: of locations, plots and strings.
    locations: HashMap<u64, String>,
    strings: HashMap<u64, String>,
    plot_names: HashMap<u64, String>,
}

pub(crate) struct Profiler {
    stream: TcpStream,
    history: Vec<u8>,
    pub(crate) told: Told,
    thread: u32,
    /// Clocks that times are differences of.
    thread_clock: i64,
    gpu_clock: i64,
    /// Open zones of each thread and of the device, as indices.
    cpu_open: HashMap<u32, Vec<usize>>,
    gpu_open: Vec<usize>,
    /// Times that are announced: the zone, and whether it begins or ends.
    queries: HashMap<u16, (usize, bool)>,
    /// The string that the next message takes.
    string: String,
    payload: Option<String>,
    /// Locations that were asked for: answers do not repeat the question.
    asked: VecDeque<u64>,
}

impl Profiler {
    pub(crate) fn connect(port: u16) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "no client on port {port}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"TracyPrf").unwrap();
        stream.write_all(&VERSION.to_le_bytes()).unwrap();
        let mut profiler = Self {
            stream,
            history: Vec::new(),
            told: Told::default(),
            thread: 0,
            thread_clock: 0,
            gpu_clock: 0,
            cpu_open: HashMap::new(),
            gpu_open: Vec::new(),
            queries: HashMap::new(),
            string: String::new(),
            payload: None,
            asked: VecDeque::new(),
        };
        assert_eq!(profiler.bytes(1), [1], "the client speaks another version of the protocol");
        let welcome = profiler.bytes(WELCOME);
        // Flags follow eight numbers of eight bytes; the first says that the client is on demand.
        assert_eq!(welcome[64] & 1, 1, "the client keeps what nobody reads");
        profiler.bytes(ON_DEMAND);
        profiler
    }

    /// Reads until a message of this text came and all names are known.
    pub(crate) fn read_until(&mut self, last: &str) {
        while !self.told.messages.iter().any(|message| message == last) || self.told.nameless() > 0 {
            let length = u32::from_le_bytes(self.bytes(4).try_into().unwrap());
            let block = self.bytes(length as usize);
            let mut text = vec![0; BLOCK];
            let length = lz4_flex::block::decompress_into_with_dict(&block, &mut text, &self.history).unwrap();
            text.truncate(length);
            self.history.extend_from_slice(&text);
            self.history.drain(..self.history.len().saturating_sub(HISTORY));
            let mut rest = &text[..];
            while !rest.is_empty() {
                self.message(&mut rest);
            }
        }
        assert!(self.queries.is_empty(), "times that did not come: {:?}", self.queries);
        assert!(self.gpu_open.is_empty(), "zones of the device that are open");
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn ask(&mut self, query: Query, place: u64) {
        let packet = [&[query as u8], &place.to_le_bytes()[..], &[0; 4]].concat();
        self.stream.write_all(&packet).unwrap();
    }

    /// Takes one message off.
    fn message(&mut self, rest: &mut &[u8]) {
        let (name, size) = MESSAGES[usize::from(rest[0])];
        let message = rest.split_off(..size).unwrap();
        let mut fields = Fields(&message[1..]);
        match name {
            "ThreadContext" => (self.thread, self.thread_clock) = (fields.u32(), 0),
            "ZoneBegin" | "ZoneBegin32" | "ZoneBegin16" => {
                let time = fields.time(name, &mut self.thread_clock);
                let location = fields.u64();
                self.locate(location);
                self.begin_cpu(Name::Location(location), time);
            }
            "ZoneBeginAllocSrcLoc" => {
                let time = fields.time(name, &mut self.thread_clock);
                let name = Name::Known(self.payload.take().unwrap());
                self.begin_cpu(name, time);
            }
            "ZoneEnd" | "ZoneEnd32" | "ZoneEnd16" => {
                let time = fields.time(name, &mut self.thread_clock);
                let zone = self.cpu_open.entry(self.thread).or_default().pop().expect("an end without a beginning");
                self.told.cpu.get_mut(&self.thread).unwrap()[zone].ended = Some(time);
            }
            "GpuNewContext" | "GpuTimeSync" | "KeepAlive" | "SysTimeReport" | "SysPowerReport" | "ZoneValidation" => {}
            "GpuContextName" => self.told.contexts.push(std::mem::take(&mut self.string)),
            "GpuZoneBeginAllocSrcLocSerial" => self.begin_gpu(fields.query()),
            "GpuZoneEndSerial" => {
                let zone = self.gpu_open.pop().expect("an end without a beginning");
                assert!(self.queries.insert(fields.query(), (zone, false)).is_none(), "a query that is still open");
            }
            "GpuTime" => self.gpu_time(fields),
            "FrameMarkMsg" => self.told.frames += 1,
            "PlotDataDouble" => self.plot(fields),
            "Message" => self.told.messages.push(std::mem::take(&mut self.string)),
            "SourceLocation" => {
                let (location, name) = (self.asked.pop_front().unwrap(), fields.u64());
                // The name's place stands for it until the name comes.
                self.told.locations.insert(location, format!("at {name}"));
                self.ask(Query::String, name);
            }
            _ => self.text(name, fields, rest),
        }
    }

    /// Messages that a string follows.
    fn text(&mut self, name: &str, mut fields: Fields<'_>, rest: &mut &[u8]) {
        let long = |rest: &mut &[u8], more: usize| {
            let (count, tail) = rest.split_first_chunk::<2>().unwrap();
            *rest = tail;
            rest.split_off(..usize::from(u16::from_le_bytes(*count)) + more).unwrap().to_vec()
        };
        let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match name {
            "SingleStringData8" => {
                let count = usize::from(*rest.split_off_first().unwrap());
                self.string = lossy(rest.split_off(..count).unwrap().to_vec());
            }
            // Short ones are sent by the message above, so counting begins behind them.
            "SingleStringData" => self.string = lossy(long(rest, 256)),
            "SourceLocationPayload" => {
                // Colour and line, function and file with zeros behind them, the name.
                let bytes = long(rest, 0);
                let name = bytes[8..].splitn(3, |byte| *byte == 0).nth(2).unwrap();
                self.payload = Some(lossy(name.to_vec()));
            }
            "StringData" => {
                let (place, text) = (fields.u64(), lossy(long(rest, 0)));
                self.told.strings.insert(place, text);
            }
            "PlotName" => {
                let (place, text) = (fields.u64(), lossy(long(rest, 0)));
                self.told.plot_names.insert(place, text);
            }
            "ThreadName" => drop(long(rest, 0)),
            other => panic!("a message of a kind that nobody asked for: {other}"),
        }
    }

    fn begin_cpu(&mut self, name: Name, begun: i64) {
        let (zones, open) =
            (self.told.cpu.entry(self.thread).or_default(), self.cpu_open.entry(self.thread).or_default());
        let depth = open.len();
        open.push(zones.len());
        zones.push(Open { name, depth, begun: Some(begun), ended: None });
    }

    fn begin_gpu(&mut self, query: u16) {
        let (index, depth) = (self.told.gpu.len(), self.gpu_open.len());
        let name = Name::Known(self.payload.take().unwrap());
        self.told.gpu.push(Open { name, depth, begun: None, ended: None });
        self.gpu_open.push(index);
        assert!(self.queries.insert(query, (index, true)).is_none(), "a query that is still open");
    }

    fn gpu_time(&mut self, mut fields: Fields<'_>) {
        let apart = fields.i64();
        assert!(apart >= 0 || self.gpu_clock == 0, "the device's clock went back by {apart}");
        self.gpu_clock += apart;
        let (zone, begins) = self.queries.remove(&fields.u16()).expect("a time that was not announced");
        let zone = &mut self.told.gpu[zone];
        *(if begins { &mut zone.begun } else { &mut zone.ended }) = Some(self.gpu_clock);
    }

    fn plot(&mut self, mut fields: Fields<'_>) {
        let place = fields.u64();
        self.thread_clock += fields.i64();
        let value = f64::from_bits(fields.u64());
        if !self.told.plots.iter().any(|(known, _)| *known == place) {
            self.ask(Query::PlotName, place);
        }
        self.told.plots.push((place, value));
    }

    fn locate(&mut self, location: u64) {
        if !self.told.locations.contains_key(&location) && !self.asked.contains(&location) {
            self.asked.push_back(location);
            self.ask(Query::SourceLocation, location);
        }
    }
}

impl Told {
    fn name(&self, name: &Name) -> Option<String> {
        match name {
            Name::Known(name) => Some(name.clone()),
            Name::Location(location) => {
                let place = self.locations.get(location)?.strip_prefix("at ")?.parse().ok()?;
                self.strings.get(&place).cloned()
            }
        }
    }

    /// How many names have not come yet.
    fn nameless(&self) -> usize {
        let zones = self.cpu.values().flatten().filter(|zone| self.name(&zone.name).is_none());
        zones.count() + self.plots.iter().filter(|(place, _)| !self.plot_names.contains_key(place)).count()
    }

    fn zone(&self, open: &Open) -> Zone {
        let whole = || panic!("a zone without a time: {open:?}");
        Zone {
            name: self.name(&open.name).unwrap(),
            depth: open.depth,
            begun: open.begun.unwrap_or_else(whole),
            ended: open.ended.unwrap_or_else(whole),
        }
    }

    /// Zones of threads in the order in which they began: one list per thread.
    pub(crate) fn threads(&self) -> Vec<Vec<Zone>> {
        self.cpu.values().map(|zones| zones.iter().map(|open| self.zone(open)).collect()).collect()
    }

    /// Zones of the device in the order in which they began.
    pub(crate) fn device(&self) -> Vec<Zone> {
        self.gpu.iter().map(|open| self.zone(open)).collect()
    }

    pub(crate) fn plots(&self) -> Vec<(&str, f64)> {
        self.plots.iter().map(|(place, value)| (self.plot_names[place].as_str(), *value)).collect()
    }
}

/// Numbers of a message, one behind the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *field
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    /// The time of a zone, moved on by a difference whose width the message's name says. Wide ones count from where narrow ones end:
    /// `ProtocolOffset16Bit` and `ProtocolOffset32Bit` of `common/TracyProtocol.hpp`.
    fn time(&mut self, name: &str, clock: &mut i64) -> i64 {
        const NARROW: i64 = 1 << 16;
        *clock += match name {
            "ZoneBegin16" | "ZoneEnd16" => i64::from(self.u16()),
            "ZoneBegin32" | "ZoneEnd32" => i64::from(self.u32()) + NARROW,
            "ZoneBegin" | "ZoneEnd" => match self.i64() {
                back @ ..0 => back,
                wide => wide + NARROW + (1 << 32),
            },
            _ => self.i64(),
        };
        *clock
    }

    /// The query of a zone of the device: behind a time and a thread.
    fn query(&mut self) -> u16 {
        self.take::<12>();
        self.u16()
    }
}
