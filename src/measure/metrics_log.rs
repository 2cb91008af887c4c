//! Rows of latencies and memory over time, as lines of JSON in files.

use super::rows::{LatencyRow, MemoryRow};
use jiff::Timestamp;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seconds between two lines, unless said otherwise.
const INTERVAL: u64 = 5;

/// What the environment asks of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Between two lines.
    pub interval: Duration,
}

impl MetricsSettings {
    /// From `METRICS_LOG_ENABLED` (`1`, `true`, `yes` or `on`) and `METRICS_LOG_INTERVAL_SECS`, as `read` gives them; `None` where
    /// nothing is to be logged. What is no positive number of seconds stands for five.
    pub fn from_variables(read: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let enabled = read("METRICS_LOG_ENABLED")?.trim().to_ascii_lowercase();
        if !matches!(enabled.as_str(), "1" | "true" | "yes" | "on") {
            return None;
        }
        let seconds = read("METRICS_LOG_INTERVAL_SECS").and_then(|text| text.trim().parse::<f64>().ok());
        let interval = seconds.filter(|&seconds| seconds > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
        Some(Self { interval: interval.unwrap_or(Duration::from_secs(INTERVAL)) })
    }
}

/// One file, until a write to it fails.
struct Lines {
    path: PathBuf,
    file: Option<File>,
}

#[derive(Serialize)]
struct Line<'r, R> {
    timestamp: String,
    rows: &'r [R],
}

impl Lines {
    fn create(path: PathBuf) -> std::io::Result<Self> {
        let file = Some(OpenOptions::new().create(true).append(true).open(&path)?);
        Ok(Self { path, file })
    }

    fn write<R: Serialize>(&mut self, timestamp: Timestamp, rows: &[R]) -> Option<String> {
        let file = self.file.as_mut()?;
        let line = Line { timestamp: format!("{timestamp:.3}"), rows };
        // One write per line, so that a run that is killed leaves whole ones.
        let text = serde_json::to_string(&line).map(|line| line + "\n").map_err(std::io::Error::from);
        let error = text.and_then(|text| file.write_all(text.as_bytes())).err()?;
        self.file = None;
        Some(format!("{} is not written to any more: {error}", self.path.display()))
    }
}

/// `<YYYYmmddHHMMSS>-latency.jsonl` and `-memory.jsonl`.
pub struct MetricsLog {
    latency: Lines,
    memory: Lines,
    interval: Duration,
    last: Instant,
}

impl MetricsLog {
    /// Creates both files in `folder`, named by the time of now (UTC).
    ///
    /// # Errors
    /// A file cannot be created: its path and why.
    pub fn create(folder: &Path, settings: MetricsSettings) -> Result<Self, String> {
        let stamp = Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
        let create = |kind: &str| {
            let path = folder.join(format!("{stamp}-{kind}.jsonl"));
            Lines::create(path.clone()).map_err(|error| format!("cannot create {}: {error}", path.display()))
        };
        let (latency, memory) = (create("latency")?, create("memory")?);
        Ok(Self { latency, memory, interval: settings.interval, last: Instant::now() })
    }

    /// Whether the interval since the last lines is over.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    /// Writes a line to each file. What went wrong is told once; the file it went wrong with is left alone from then on.
    pub fn write(&mut self, latency: &[LatencyRow], memory: &[MemoryRow]) -> Vec<String> {
        let now = Timestamp::now();
        self.last = Instant::now();
        [self.latency.write(now, latency), self.memory.write(now, memory)].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn settings(enabled: Option<&str>, interval: Option<&str>) -> Option<f64> {
        let read = |name: &str| match name {
            "METRICS_LOG_ENABLED" => enabled.map(str::to_owned),
            _ => interval.map(str::to_owned),
        };
        MetricsSettings::from_variables(read).map(|settings| settings.interval.as_secs_f64())
    }

    #[test]
    fn only_words_for_yes_switch_it_on_and_bad_intervals_are_five_seconds() {
        for yes in ["1", "true", "YES", "on"] {
            assert_eq!(settings(Some(yes), None), Some(5.0));
        }
        for no in ["0", "false", "", "enabled", "2"] {
            assert_eq!(settings(Some(no), Some("1")), None);
        }
        assert_eq!(settings(None, Some("1")), None);
        for bad in ["0", "-3", "soon", "", "NaN", "inf", "1e300"] {
            assert_eq!(settings(Some("1"), Some(bad)), Some(5.0), "{bad}");
        }
        assert_eq!(settings(Some("1"), Some("0.25")), Some(0.25));
    }

    #[test]
    fn lines_hold_a_timestamp_and_the_rows_of_the_contract() {
        let folder = std::env::temp_dir().join(format!("ffai-metrics-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut log = MetricsLog::create(&folder, MetricsSettings { interval: Duration::ZERO }).unwrap();
        assert!(log.is_due());
        let latency = [LatencyRow { label: "Decode".to_owned(), last_ms: 2.5, average_ms: 3.0, level: 0 }];
        let memory = [MemoryRow {
            label: "Device".to_owned(),
            current_total_mb: 1.5,
            show_absolute: true,
            ..MemoryRow::default()
        }];
        assert_eq!(log.write(&latency, &memory), [""; 0]);
        assert_eq!(log.write(&[], &memory), [""; 0]);
        let lines = |kind: &str| -> Vec<Value> {
            let file = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let path = file.into_iter().find(|path| path.to_str().unwrap().ends_with(kind)).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.len() == 14 + kind.len() && name[..14].bytes().all(|byte| byte.is_ascii_digit()), "{name}");
            std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let found = lines("-latency.jsonl");
        assert_eq!(found.len(), 2);
        let timestamp = found[0]["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == 24 && timestamp.ends_with('Z') && &timestamp[19..20] == ".", "{timestamp}");
        let expected: Value =
            serde_json::from_str(r#"[{"label":"Decode","last_ms":2.5,"average_ms":3.0,"level":0}]"#).unwrap();
        assert_eq!(found[0]["rows"], expected);
        let keys: Vec<String> = lines("-memory.jsonl")[1]["rows"][0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            keys,
            [
                "label",
                "level",
                "current_total_mb",
                "peak_total_mb",
                "current_pool_mb",
                "peak_pool_mb",
                "current_kv_mb",
                "peak_kv_mb",
                "current_kv_cache_mb",
                "peak_kv_cache_mb",
                "absolute_pool_mb",
                "absolute_kv_mb",
                "absolute_kv_cache_mb",
                "show_absolute"
            ]
        );
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(MetricsLog::create(&folder, MetricsSettings { interval: Duration::ZERO }).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_failed_write_is_told_once_and_stops_that_file_alone() {
        let folder = std::env::temp_dir();
        let mut log = MetricsLog {
            latency: Lines {
                path: "/dev/full".into(),
                file: Some(OpenOptions::new().write(true).open("/dev/full").unwrap()),
            },
            memory: Lines::create(folder.join(format!("ffai-memory-{}.jsonl", std::process::id()))).unwrap(),
            interval: Duration::ZERO,
            last: Instant::now(),
        };
        let told = log.write(&[], &[]);
        assert!(told.len() == 1 && told[0].starts_with("/dev/full is not written to any more"), "{told:?}");
        assert_eq!(log.write(&[], &[]), [""; 0]);
        assert_eq!(std::fs::read_to_string(&log.memory.path).unwrap().lines().count(), 2);
        std::fs::remove_file(&log.memory.path).unwrap();
    }
}
