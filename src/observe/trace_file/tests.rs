use super::super::{DeviceRun, DeviceZone};
use super::stream::Stream;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// A disk with so much room.
struct Disk {
    room: usize,
    written: Vec<u8>,
}

impl Write for &mut Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"));
        }
        self.room -= bytes.len();
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_first_failed_write_is_told_once_and_nothing_follows_it() {
    let mut disk = Disk { room: 100_000, written: Vec::new() };
    let start = Instant::now();
    let mut stream = Stream::begin(&mut disk, start).unwrap();
    for _ in 0..10_000 {
        stream.begin_span("span", start);
        stream.end_span("span", start);
    }
    assert_eq!(stream.finish(start).unwrap_err().kind(), io::ErrorKind::StorageFull);
    stream.finish(start).unwrap();
    stream.begin_span("late", start);
    drop(stream);
    // What was written before is whole events.
    let text = String::from_utf8(disk.written).unwrap() + "]";
    assert!(serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().len() > 600);

    let mut full = Disk { room: 0, written: Vec::new() };
    assert!(Stream::begin(&mut full, start).is_err());
}

#[test]
fn a_killed_run_leaves_what_was_told_more_than_a_second_before() {
    let mut disk = Disk { room: usize::MAX, written: Vec::new() };
    let start = Instant::now();
    let mut stream = Stream::begin(&mut disk, start).unwrap();
    stream.begin_span("first", start + Duration::from_millis(100));
    stream.begin_span("second", start + Duration::from_millis(1200));
    stream.begin_span("third", start + Duration::from_millis(1300));
    // As one that is killed: neither finished nor dropped with a flush.
    drop(stream);
    let text = String::from_utf8(disk.written).unwrap();
    assert!(text.contains("first") && text.contains("second") && !text.contains("third"), "{text}");
    serde_json::from_str::<Vec<serde_json::Value>>(&(text + "]")).unwrap();
}

#[test]
fn memory_is_bounded_however_much_one_run_tells() {
    let start = Instant::now();
    let zone = |index: u64| DeviceZone {
        name: format!("op {index}"),
        depth: 0,
        begun: start + Duration::from_nanos(10 * index),
        ended: start + Duration::from_nanos(10 * index + 7),
    };
    let zones: Vec<DeviceZone> = (0..5000).map(zone).collect();
    let mut pieces = Pieces::default();
    let mut stream = Stream::begin(&mut pieces, start).unwrap();
    stream.device(&DeviceRun { zones: &zones }, start);
    stream.finish(start).unwrap();
    drop(stream);
    assert!(pieces.0.iter().sum::<usize>() > 500_000 && pieces.0.iter().all(|&piece| piece < 66_000), "{:?}", pieces.0);
}

/// Sizes of what is written at once.
#[derive(Default)]
struct Pieces(Vec<usize>);

impl Write for &mut Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.len());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
