//! `tools report` from outside: one page that needs nothing else, of sidecars made by hand.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder for a test's files, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{test}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("sidecars/more")).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let file = self.0.join("sidecars").join(name);
        std::fs::write(&file, content).unwrap();
        file.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn report(&self) -> Output {
        let arguments = ["report", &self.path("sidecars"), "-o", &self.path("page.html")];
        Command::new(env!("CARGO_BIN_EXE_tools")).args(arguments).output().unwrap()
    }

    /// The page.
    fn page(&self) -> String {
        let output = self.report();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(self.path("page.html")).unwrap()
    }

    fn refused(&self, parts: &[&str]) {
        let output = self.report();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.starts_with("error: ") && message.contains("\nhint: "), "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
        assert!(!Path::new(&self.path("page.html")).exists(), "a page was written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn sidecar(rows: &[Value]) -> String {
    let (ram, created) = (68_719_476_736u64, "2026-05-15T13:00:00Z");
    json!({ "chip": "card", "systemRAMBytes": ram, "osVersion": "12", "createdAt": created, "rows": rows }).to_string()
}

fn row(model: &str, day: u64, fields: &Value) -> Value {
    let mut row = json!({
        "model": model, "method": "simple", "quantization": "4bit", "contextSize": 4096, "promptTokens": 9,
        "prefillTokensPerSecond": 900.0, "decodeTokensPerSecond": 50.0 + day as f64, "timeToFirstTokenMs": 10.0,
        "generatedTokens": 64, "baselineGPUBytes": 0, "peakGPUBytes": 2_000_000_000u64, "kvCacheUsedBytes": 100_000_000,
        "weightsBytes": 1_500_000_000, "wiredTicketBytes": 0, "measuredAt": format!("2026-05-{day:02}T12:00:00Z"),
        "outputPreview": "Once & upon",
        "spread": { "decodeTokensPerSecond": {
            "minimum": 49.0, "maximum": 60.0, "standardDeviation": 2.0, "samples": [49.0, 55.0, 60.0],
        } },
    });
    for (key, value) in fields.as_object().unwrap() {
        row[key] = value.clone();
    }
    row
}

/// Two models over two days, their quality, and needles: something for every section.
fn filled(test: &str, model: &str) -> Folder {
    let folder = Folder::new(test);
    let quality = json!({
        "method": "wikitext2", "decodeTokensPerSecond": 0, "genPerplexity": 21.5, "genPerplexityError": 0.2,
        "genKLDivergence": 0.03, "genKLDivergenceError": 0.001,
    });
    let needle = |context: u64, depth: f64, score: f64| json!({ "context": context, "depth": depth, "exact": score, "fuzzy": score });
    let needles = [needle(1024, 0.0, 1.0), needle(1024, 0.5, 0.25), needle(4096, 0.0, 0.0), needle(4096, 0.5, 1.0)];
    let first = [row(model, 15, &json!({})), row("other", 15, &json!({})), row(model, 15, &quality)];
    let second = [row(model, 16, &json!({})), row(model, 16, &json!({ "method": "niah", "needles": needles }))];
    folder.write(".card-2026-05-15.state.json", sidecar(&first));
    folder.write("more/.card-2026-05-16.state.json", sidecar(&second));
    folder
}

/// All values of an attribute, in order.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!(" {name}=\"");
    page.split(&opening).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

fn links_lead_somewhere(page: &str) {
    let ids: BTreeSet<&str> = attributes(page, "id").into_iter().collect();
    let links = attributes(page, "href");
    assert!(links.len() > 20, "{}", links.len());
    for link in links {
        assert!(link.strip_prefix('#').is_some_and(|anchor| ids.contains(anchor)), "`{link}` leads nowhere");
    }
}

#[test]
fn every_row_and_every_figure_is_on_the_page_and_links_lead_to_rows() {
    let folder = filled("whole", "tiny");
    let page = folder.page();
    for number in 1..=5 {
        assert_eq!(page.matches(&format!("<tr id=\"row-{number}\">")).count(), 1, "row {number}");
        assert!(page.contains(&format!("<a href=\"#row-{number}\"><title>")), "no point of row {number}");
    }
    for heading in ["Speed over time", "Speed against quality", "Memory", "Needles in haystacks"] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    for figure in [
        "card: decode of simple at 4096",
        "card: prefill of simple at 4096",
        "card: perplexity by wikitext2",
        "card: divergence from the reference by wikitext2",
        "card: peak of GPU memory",
        "card: tiny 4bit",
    ] {
        assert!(page.contains(&format!("<h3>{figure}</h3>")), "{figure}");
    }
    assert!(page.contains("<title>context 1024, depth 50 %: 25 % found, 25 % to the letter</title>"));
    assert!(page.contains("21.500 ± 0.200") && page.contains("0.0300 ± 0.0010"));
    links_lead_somewhere(&page);
}

#[test]
fn the_page_needs_nothing_from_anywhere() {
    let page = filled("alone", "tiny").page();
    for foreign in ["<script", "<link", "<img", "<iframe", "@import", "@font-face", "url(", "http:", "https:", "src="] {
        assert!(!page.contains(foreign), "the page holds `{foreign}`");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_same_sidecars_give_the_same_bytes() {
    let folder = filled("bytes", "tiny");
    let page = folder.page();
    assert_eq!(page, folder.page());
}

#[test]
fn names_cannot_become_tags() {
    let page = filled("tags", "<script>alert(1)<\\script>\"'&amp;").page();
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(1)"));
    links_lead_somewhere(&page);
}

#[test]
fn numbers_at_the_borders_of_what_can_be_drawn_are_drawn_or_left_out() {
    let folder = Folder::new("borders");
    let extremes = [0.0, 1e-300, 1e300, -5.0];
    let rows: Vec<Value> = extremes
        .iter()
        .map(|value| {
            let needle = json!({ "context": u64::MAX, "depth": value, "exact": value, "fuzzy": value });
            row("tiny", 15, &json!({
                "prefillTokensPerSecond": value, "decodeTokensPerSecond": value, "genPerplexity": value, "genPerplexityError": value,
                "genKLDivergence": value, "weightsBytes": u64::MAX, "peakGPUBytes": u64::MAX, "kvCacheUsedBytes": u64::MAX,
                "measuredAt": "-009999-01-01T00:00:00Z", "needles": [needle],
                "spread": { "decodeTokensPerSecond": {
                    "minimum": value, "maximum": value, "standardDeviation": value, "samples": [],
                } },
            }))
        })
        .collect();
    folder.write(".card.state.json", sidecar(&rows));
    let page = folder.page();
    assert!(!page.contains("NaN") && !page.contains(">inf"), "{page}");
    // A row without any time has no place in time, and stands in the table.
    let undated =
        sidecar(&[row("tiny", 15, &json!({ "measuredAt": "yesterday" }))]).replace("2026-05-15T13:00:00Z", "");
    folder.write(".card.state.json", undated);
    assert!(folder.page().contains("<tr id=\"row-1\">"));
}

#[test]
fn folders_without_rows_and_damaged_sidecars_are_refused_by_name() {
    let folder = Folder::new("refused");
    folder.refused(&["sidecars: expected sidecars (*.state.json)", "found none"]);
    folder.write("notes.md", "# no sidecar");
    folder.refused(&["found none"]);
    folder.write(".card.state.json", sidecar(&[]));
    folder.refused(&["expected at least one row"]);
    folder.write(".card.state.json", sidecar(&[row("tiny", 15, &json!({}))]));
    let rowless = sidecar(&[json!({ "method": "simple" })]);
    for content in ["", "{", "[]", "{\"chip\": 1, \"rows\": []}", &rowless, "\u{feff}{}"] {
        let bad = folder.write("bad.state.json", content);
        folder.refused(&[&bad, "expected ", "found "]);
    }
}

/// The browser to look with; `None` where there is none, which fails under CI and is said elsewhere.
fn browser() -> Option<String> {
    let named = std::env::var("FFAI_TEST_CHROMIUM").ok().filter(|name| !name.is_empty());
    let known = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ];
    let mut names = named.into_iter().chain(known.map(str::to_owned));
    let found =
        names.find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()));
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "chromium is missing; tools/test.sh installs it");
        println!("SKIPPED: chromium is missing; tools/test.sh installs it");
    }
    found
}

#[test]
fn a_browser_shows_the_page_in_light_and_in_dark() {
    let Some(browser) = browser() else { return };
    let folder = filled("browser", "<script>document.title = 'broken'</script>tiny");
    folder.page();
    let page = format!("file://{}", folder.path("page.html"));
    let look = |more: &[&str]| {
        let profile = format!("--user-data-dir={}", folder.path("profile"));
        let always = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1200,1600",
            &profile,
        ];
        let output = Command::new(&browser).args(always).args(more).arg(&page).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // What the browser made of it, not what was written.
    let shown = look(&["--dump-dom"]);
    assert!(shown.contains("<title>FFAI benchmarks</title>") && !shown.contains("<script"), "{shown}");
    assert_eq!(shown.matches("<tr id=\"row-").count(), 5);
    assert_eq!(shown.matches("<figure>").count(), shown.matches("</figure>").count());
    // Decode and prefill of two methods and the scoring of a third; perplexity and divergence; memory; needles.
    assert_eq!(shown.matches("role=\"img\"").count(), 5 + 2 + 1 + 1);
    links_lead_somewhere(&shown);
    let picture = |name: &str, more: &[&str]| {
        let file = folder.path(name);
        look(&[&[&*format!("--screenshot={file}")], more].concat());
        std::fs::read(file).unwrap()
    };
    let light = picture("light.png", &["--blink-settings=preferredColorScheme=1"]);
    let dark = picture("dark.png", &["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]);
    assert!(light.starts_with(b"\x89PNG") && light.len() > 20_000, "{} bytes", light.len());
    assert_ne!(light, dark, "the page looks the same in dark");
}
