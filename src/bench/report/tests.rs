//! Laws of reports.

use super::{Machine, ReportWriter, Sidecar, markdown};
use crate::bench::{BenchRow, Error};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A folder that goes away with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ffai-report-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn writer(&self) -> ReportWriter {
        ReportWriter::new(&self.0, machine())
    }

    fn sidecar(&self) -> PathBuf {
        self.0.join(format!(".{}.state.json", self.writer().stem()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn machine() -> Machine {
    Machine { chip: "apple-m1-max".to_owned(), system_ram_bytes: 64 << 30, os_version: "15.4.0".to_owned() }
}

/// The row that the documentation of these files shows.
fn documented() -> BenchRow {
    let mb = |mb: f64| (mb * 1_048_576.0) as u64;
    BenchRow {
        model: "unsloth/Llama-3.2-1B".to_owned(),
        method: "simple".to_owned(),
        quantization: Some("bf16".to_owned()),
        context_size: 131_072,
        prompt_tokens: 5,
        prefill_tokens_per_second: 60.71,
        decode_tokens_per_second: 64.06,
        steady_tokens_per_second: Some(65.2),
        time_to_first_token_ms: 82.34,
        generated_tokens: 64,
        baseline_gpu_bytes: mb(1240.0),
        peak_gpu_bytes: mb(1300.5),
        kv_cache_used_bytes: mb(4.5),
        weights_bytes: mb(1180.0),
        wired_ticket_bytes: 16 << 30,
        output_preview: Some("Once upon a time, ...".to_owned()),
        ..BenchRow::default()
    }
}

fn sidecar(rows: &[BenchRow]) -> Sidecar {
    let mut sidecar = Sidecar::new(&machine(), "2026-05-15T13:00:00Z".to_owned());
    sidecar.extend(rows);
    sidecar
}

const PAGE: &str = "\
# FFAI Bench — apple-m1-max

- System RAM: 64.00 GB
- OS: 15.4.0
- Created: 2026-05-15T13:00:00Z

| Model | Method | Quant | Ctx | Prompt | Prefill tok/s | Decode tok/s | Steady tok/s | TTFT (ms) | Gen tokens | Baseline GPU | Peak GPU | KV used | Weights | Gen PPL | Gen KLD | Sample |
|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|
| unsloth/Llama-3.2-1B | simple | bf16 | 131072 | 5 | 60.71 | 64.06 | 65.20 | 82.34 | 64 | 1.21 GB | 1.27 GB | 4.5 MB | 1.15 GB | - | - | Once upon a time, ... |
";

#[test]
fn the_page_is_the_documented_one_byte_for_byte() {
    assert_eq!(markdown(&sidecar(&[documented()])), PAGE);
}

#[test]
fn what_is_missing_is_a_dash_and_bars_do_not_end_cells() {
    let row = BenchRow {
        model: "a|b".to_owned(),
        quantization: None,
        steady_tokens_per_second: None,
        gen_perplexity: Some(21.5476),
        gen_kl_divergence: Some(0.01239),
        output_preview: Some("x | y\nz".to_owned()),
        ..documented()
    };
    let page = markdown(&sidecar(&[row, BenchRow { output_preview: None, ..documented() }]));
    let lines: Vec<&str> = page.lines().skip(7).collect();
    assert!(lines[1].starts_with("| a\\|b | simple | - | 131072 | 5 | 60.71 | 64.06 | - | 82.34 |"), "{}", lines[1]);
    assert!(lines[1].ends_with("| 21.548 | 0.0124 | x \\| y z |"), "{}", lines[1]);
    assert!(lines[2].ends_with("| 1.15 GB | - | - |  |"), "{}", lines[2]);
    // Rows of other tools may lack anything.
    let foreign =
        Sidecar::of(json!({"chip": "c", "systemRAMBytes": 1, "osVersion": "1", "createdAt": "t", "rows": [{}]}));
    let page = markdown(&foreign.unwrap());
    assert_eq!(page.lines().last(), Some(format!("|{}  |", " - |".repeat(16)).as_str()));
}

#[test]
fn the_sidecar_is_sorted_and_holds_no_nulls() {
    let row = BenchRow { gen_perplexity: Some(f64::INFINITY), ..documented() };
    let text = sidecar(&[row]).to_json();
    let expected = r#"{
  "chip": "apple-m1-max",
  "createdAt": "2026-05-15T13:00:00Z",
  "osVersion": "15.4.0",
  "rows": [
    {
      "baselineGPUBytes": 1300234240,
      "contextSize": 131072,
      "decodeTokensPerSecond": 64.06,
      "generatedTokens": 64,
      "kvCacheUsedBytes": 4718592,
      "method": "simple",
      "model": "unsloth/Llama-3.2-1B",
      "outputPreview": "Once upon a time, ...",
      "peakGPUBytes": 1363673088,
      "prefillTokensPerSecond": 60.71,
      "promptTokens": 5,
      "quantization": "bf16",
      "steadyTokensPerSecond": 65.2,
      "timeToFirstTokenMs": 82.34,
      "weightsBytes": 1237319680,
      "wiredTicketBytes": 17179869184
    }
  ],
  "systemRAMBytes": 68719476736
}
"#;
    assert_eq!(text, expected);
}

#[test]
fn appends_add_up_and_the_page_follows_the_sidecar() {
    let folder = Folder::new("append");
    let first = folder.writer().append(&[documented()]).unwrap();
    let before = std::fs::read(&first.markdown).unwrap();
    let second = folder.writer().append(&[documented(), documented()]).unwrap();
    assert_eq!(first, second);
    let read = Sidecar::read(&second.sidecar).unwrap();
    assert_eq!(read.bench_rows().collect::<Result<Vec<_>, _>>().unwrap(), vec![documented(); 3]);
    assert_eq!(std::fs::read_to_string(&second.markdown).unwrap(), markdown(&read));
    assert!(std::fs::read(&second.markdown).unwrap().starts_with(&before));
    assert_eq!(std::fs::read_to_string(&second.sidecar).unwrap(), read.to_json());
    // What was edited by hand in the page does not survive, in the sidecar it does.
    std::fs::write(&second.markdown, "edited").unwrap();
    folder.writer().append(&[]).unwrap();
    assert_eq!(std::fs::read_to_string(&second.markdown).unwrap(), markdown(&read));
}

#[test]
fn fields_of_other_tools_survive_an_append_to_the_last_bit() {
    let folder = Folder::new("foreign");
    std::fs::create_dir_all(&folder.0).unwrap();
    let theirs = json!({"model": "m", "zeta": {"b": [1, null], "a": 0.1}, "draftTokensPerSecond": 5e-324,
        "odd": 8.988465674311583e307, "third": 0.3333333333333333, "genPerplexity": "n/a"});
    let file = json!({"chip": "apple-m1-max", "systemRAMBytes": 1, "osVersion": "9", "createdAt": "then",
        "note": "by hand", "rows": [theirs]});
    std::fs::write(folder.sidecar(), file.to_string()).unwrap();
    for _ in 0..3 {
        folder.writer().append(&[documented()]).unwrap();
    }
    let read: Value = serde_json::from_slice(&std::fs::read(folder.sidecar()).unwrap()).unwrap();
    assert_eq!((&read["rows"][0], &read["note"], &read["createdAt"]), (&theirs, &json!("by hand"), &json!("then")));
    assert_eq!(read["rows"].as_array().unwrap().len(), 4);
}

#[test]
fn a_corrupt_sidecar_is_named_and_left_as_it_was() {
    let folder = Folder::new("corrupt");
    std::fs::create_dir_all(&folder.0).unwrap();
    let bad: [&[u8]; 9] = [
        b"",
        b"{\"chip\": \"apple",
        b"[]",
        b"{}",
        b"\xff\xfe",
        br#"{"chip": "c", "systemRAMBytes": 1, "osVersion": "1", "createdAt": "t", "rows": {}}"#,
        br#"{"chip": "c", "systemRAMBytes": 1, "osVersion": "1", "createdAt": "t", "rows": [[]]}"#,
        br#"{"chip": "c", "systemRAMBytes": -1, "osVersion": "1", "createdAt": "t", "rows": []}"#,
        br#"{"chip": 3, "systemRAMBytes": 1, "osVersion": "1", "createdAt": "t", "rows": []}"#,
    ];
    for content in bad {
        std::fs::write(folder.sidecar(), content).unwrap();
        let error = folder.writer().append(&[documented()]).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }) && error.hint().is_some());
        assert!(error.to_string().contains(&folder.sidecar().display().to_string()), "{error}");
        assert_eq!(std::fs::read(folder.sidecar()).unwrap(), content);
    }
    let names: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "a sidecar and a lock, and no page: {names:?}");
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let folder = Folder::new("file");
    std::fs::write(&folder.0, "a file").unwrap();
    let error = folder.writer().append(&[documented()]).unwrap_err();
    assert!(error.to_string().contains(&folder.0.display().to_string()), "{error}");
    std::fs::remove_file(&folder.0).unwrap();
}

/// Runs this very test program again as a process of its own that appends; `None` in that process, which has then done its part.
fn appenders(folder: &Folder, test: &str, rows: usize) -> Option<impl Fn(usize) -> std::process::Child> {
    if let Ok(path) = std::env::var("FFAI_APPEND_TO") {
        let writer = ReportWriter::new(path, machine());
        let name = std::env::var("FFAI_APPEND_AS").unwrap();
        for index in 0..rows {
            writer.append(&[BenchRow { model: format!("{name}-{index}"), ..documented() }]).unwrap();
        }
        return None;
    }
    let (path, test) = (folder.0.clone(), format!("bench::report::tests::{test}"));
    Some(move |index: usize| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &test]).env("FFAI_APPEND_TO", &path).env("FFAI_APPEND_AS", index.to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    })
}

#[test]
fn processes_and_threads_that_append_at_once_lose_no_row() {
    const ROWS: usize = 8;
    let folder = Folder::new("at-once");
    let test = "processes_and_threads_that_append_at_once_lose_no_row";
    let Some(start) = appenders(&folder, test, ROWS) else { return };
    let children: Vec<_> = (0..4).map(start).collect();
    std::thread::scope(|scope| {
        for thread in 4..7 {
            let writer = folder.writer();
            scope.spawn(move || {
                for index in 0..ROWS {
                    writer.append(&[BenchRow { model: format!("{thread}-{index}"), ..documented() }]).unwrap();
                }
            });
        }
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let sidecar = Sidecar::read(&folder.sidecar()).unwrap();
    let mut models: Vec<&str> = sidecar.rows().iter().map(|row| row["model"].as_str().unwrap()).collect();
    // Each writer's rows stand in its order.
    for writer in 0..7 {
        let own: Vec<&str> = models.iter().copied().filter(|model| model.starts_with(&format!("{writer}-"))).collect();
        assert!(own.is_sorted() && own.len() == ROWS, "{own:?}");
    }
    models.sort_unstable();
    models.dedup();
    assert_eq!(models.len(), 7 * ROWS);
}

#[test]
fn whenever_a_writer_is_killed_the_sidecar_is_whole() {
    let folder = Folder::new("killed");
    let Some(start) = appenders(&folder, "whenever_a_writer_is_killed_the_sidecar_is_whole", usize::MAX) else {
        return;
    };
    let mut before = 0;
    for round in 0..20u64 {
        let mut child = start(round as usize);
        // The first moment in which it can be in the middle of writing, and others from there on.
        let deadline = Instant::now() + Duration::from_secs(60);
        let rows = || Sidecar::read(&folder.sidecar()).map_or(0, |sidecar| sidecar.rows().len());
        while rows() == before && Instant::now() < deadline {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(round * 311 % 4000));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = Sidecar::read(&folder.sidecar()).unwrap().rows().len();
        assert!(found > before, "round {round}: {found} rows after {before}");
        before = found;
    }
    // And the next one goes on from there, whatever was left behind.
    let files = folder.writer().append(&[documented()]).unwrap();
    let sidecar = Sidecar::read(&files.sidecar).unwrap();
    assert_eq!(sidecar.rows().len(), before + 1);
    assert_eq!(std::fs::read_to_string(files.markdown).unwrap(), markdown(&sidecar));
}
