//! The device's zones as one lane of a timeline: begins and ends in their order, by a clock that never goes back.
//!
//! Readers of timelines nest by order alone, and some take a clock that goes back for one that has overflowed. A device's clock is
//! converted to the host's by a calibration that is made anew from time to time, so that what begins may lie a little before what
//! has ended.

use super::{DeviceRun, DeviceZone};
use std::time::Instant;

/// One end of a zone, with the zone's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge<'a> {
    Begin(&'a str),
    End(&'a str),
}

/// Where the lane's clock stands.
#[derive(Debug)]
pub(super) struct DeviceLane {
    origin: Instant,
    /// The time of the last edge, in nanoseconds from `origin`.
    last: u64,
}

impl DeviceLane {
    /// A lane whose clock begins at `origin`; what lies before that is moved there.
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, last: 0 }
    }

    /// Tells the edges of a run's zones with their times, in nanoseconds from the lane's origin and no larger than an `i64` holds. Zones that
    /// overlap what is beside or before them, or reach out of what holds them, are cut.
    pub(super) fn edges<'a>(&mut self, run: &DeviceRun<'a>, mut tell: impl FnMut(Edge<'a>, u64)) {
        let mut open: Vec<(&'a DeviceZone, u64)> = Vec::new();
        for zone in run.zones {
            self.close(&mut open, zone.depth, &mut tell);
            // What holds the zone ends no earlier than the last edge, which lies inside of it.
            let latest = open.last().map_or(i64::MAX as u64, |(_, ended)| *ended);
            let begun = self.nanoseconds(zone.begun).clamp(self.last, latest);
            let ended = self.nanoseconds(zone.ended).clamp(begun, latest);
            self.last = begun;
            tell(Edge::Begin(&zone.name), begun);
            open.push((zone, ended));
        }
        self.close(&mut open, 0, &mut tell);
    }

    /// Ends zones until so many are open.
    fn close<'a>(&mut self, open: &mut Vec<(&'a DeviceZone, u64)>, depth: usize, tell: &mut impl FnMut(Edge<'a>, u64)) {
        while open.len() > depth
            && let Some((zone, ended)) = open.pop()
        {
            self.last = ended;
            tell(Edge::End(&zone.name), ended);
        }
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Zones from (name, depth, begun, ended), in nanoseconds from `origin`, and the edges that they become.
    fn edges(lane: &mut DeviceLane, zones: &[(&str, usize, u64, u64)]) -> Vec<(String, u64)> {
        let at = |nanoseconds| lane.origin + Duration::from_nanos(nanoseconds);
        let zone = |&(name, depth, begun, ended): &(&str, usize, u64, u64)| DeviceZone {
            name: name.to_owned(),
            depth,
            begun: at(begun),
            ended: at(ended),
        };
        let zones: Vec<DeviceZone> = zones.iter().map(zone).collect();
        let mut told = Vec::new();
        lane.edges(&DeviceRun { zones: &zones }, |edge, time| {
            told.push(match edge {
                Edge::Begin(name) => (format!("+{name}"), time),
                Edge::End(name) => (format!("-{name}"), time),
            });
        });
        told
    }

    fn expected(edges: &[(&str, u64)]) -> Vec<(String, u64)> {
        edges.iter().map(|&(edge, time)| (edge.to_owned(), time)).collect()
    }

    #[test]
    fn zones_nest_by_depth() {
        let mut lane = DeviceLane::new(Instant::now());
        let told = edges(
            &mut lane,
            &[("t", 0, 10, 90), ("a", 1, 10, 40), ("x", 2, 15, 20), ("b", 1, 50, 90), ("u", 0, 95, 99)],
        );
        let wanted = [
            ("+t", 10),
            ("+a", 10),
            ("+x", 15),
            ("-x", 20),
            ("-a", 40),
            ("+b", 50),
            ("-b", 90),
            ("-t", 90),
            ("+u", 95),
            ("-u", 99),
        ];
        assert_eq!(told, expected(&wanted));
    }

    #[test]
    fn what_overlaps_or_reaches_out_is_cut() {
        let mut lane = DeviceLane::new(Instant::now());
        let told = edges(&mut lane, &[("t", 0, 10, 50), ("a", 1, 5, 30), ("b", 1, 25, 80), ("c", 1, 60, 70)]);
        let wanted = [("+t", 10), ("+a", 10), ("-a", 30), ("+b", 30), ("-b", 50), ("+c", 50), ("-c", 50), ("-t", 50)];
        assert_eq!(told, expected(&wanted));
        // The next run begins before this one's end, and one zone ends before it begins.
        assert_eq!(
            edges(&mut lane, &[("u", 0, 45, 60), ("v", 0, 70, 65)]),
            expected(&[("+u", 50), ("-u", 60), ("+v", 70), ("-v", 70)])
        );
    }

    #[test]
    fn depths_that_leave_levels_out_nest_in_what_is_there() {
        let mut lane = DeviceLane::new(Instant::now());
        assert_eq!(
            edges(&mut lane, &[("a", 7, 1, 9), ("b", 3, 2, 8), ("c", 1, 5, 6)]),
            expected(&[("+a", 1), ("+b", 2), ("-b", 8), ("+c", 8), ("-c", 8), ("-a", 9)])
        );
        assert!(edges(&mut lane, &[]).is_empty());
    }
}
