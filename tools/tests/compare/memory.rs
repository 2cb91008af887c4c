//! Memory that grew is named, and what allocators and the system do by themselves is not.

use crate::profiles::{Folder, Recipe};
use serde_json::{Value, json};

const MIB: u64 = 1_048_576;

fn base() -> Value {
    Recipe::default().run()
}

#[test]
fn memory_that_grew_is_named_by_its_row() {
    let mut after = base();
    after["profile"]["memory"][1]["current_bytes"] = json!(30_000_000 + 8 * MIB);
    after["profile"]["memory"][1]["peak_bytes"] = json!(30_000_000 + 8 * MIB);
    let folder = Folder::new("memory");
    let compared = folder.compare(&base(), &after, &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: memory grew in 1 row"));
    // 30,000,000 bytes are 28.61 MiB.
    compared.says("Weights/head 28.6 MiB → 36.6 MiB (+8.0 MiB)");

    let mut after = base();
    after["stats"]["post_decode_gpu_bytes"] = json!(300_000_000 + 64 * MIB);
    after["profile"]["memory"][0]["peak_bytes"] = json!(100_000_000 + 16 * MIB);
    after["profile"]["memory"].as_array_mut().unwrap().push(json!({"label": "Copy", "current_bytes": 2 * MIB}));
    let compared = folder.compare(&base(), &after, &[]);
    assert_eq!((compared.status, compared.verdict()), (1, "worse: memory grew in 3 rows"));
    compared.says("post_decode_gpu_bytes 286.1 MiB → 350.1 MiB (+64.0 MiB)");
    compared.says("Weights, peak 95.4 MiB → 111.4 MiB (+16.0 MiB)");
    compared.says("Copy 0.0 MiB → 2.0 MiB (+2.0 MiB)");

    // Barely more than one per cent, and than one MiB.
    for (row, bytes) in [(0, 101_100_000), (1, 30_000_001 + MIB)] {
        let mut after = base();
        after["profile"]["memory"][row]["current_bytes"] = json!(bytes);
        assert_eq!(folder.compare(&base(), &after, &[]).verdict(), "worse: memory grew in 1 row");
    }
}

/// Eight MiB more in each of twelve blocks: what holds them grew by 96, and each block because of its attention.
#[test]
fn growth_is_named_where_it_is_and_by_all_of_it() {
    let run = |more: u64| {
        let row = |label: &str, level: u64, bytes: u64| json!({"label": label, "level": level, "current_bytes": bytes});
        let mut rows = vec![row("Device", 0, 600 * MIB + 12 * more), row("Weights", 1, 480 * MIB + 12 * more)];
        for block in 0..12 {
            rows.push(row(&format!("Block {block}"), 2, 40 * MIB + more));
            rows.push(row("attention", 3, 20 * MIB + more));
            rows.push(row("mlp", 3, 20 * MIB));
        }
        rows.extend([
            row("KV cache", 1, 120 * MIB),
            row("Host", 0, 500 * MIB + more),
            row("Unattributed", 1, 60 * MIB + more / 2),
        ]);
        let mut run = base();
        run["profile"]["memory"] = json!(rows);
        run
    };
    let compared = Folder::new("growth").compare(&run(0), &run(8 * MIB), &[]);
    // What the host keeps resident may differ by eight MiB.
    assert_eq!((compared.status, compared.verdict()), (1, "worse: memory grew in 13 rows"));
    compared.says("Device/Weights 480.0 MiB → 576.0 MiB (+96.0 MiB)");
    compared.says("Device/Weights/Block 0/attention 20.0 MiB → 28.0 MiB (+8.0 MiB)");
    compared.says("and 5 more rows, all of them with --json");
    let compared = Folder::new("host").compare(&run(0), &run(60 * MIB), &[]);
    assert!(compared.page.contains("memory grew in 15 rows"), "{}", compared.page);
}

/// 100,000,000 bytes and one per cent; 30,000,000 bytes and one MiB; what the system allows.
#[test]
fn memory_within_what_allocators_round_is_the_same() {
    let mut after = base();
    after["profile"]["memory"][0]["current_bytes"] = json!(101_000_000);
    after["profile"]["memory"][1]["current_bytes"] = json!(30_000_000 + MIB);
    after["stats"]["post_decode_gpu_bytes"] = json!(302_000_000);
    after["stats"]["wired_ticket_bytes"] = json!(100 * MIB);
    let compared = Folder::new("rounding").compare(&base(), &after, &[]);
    assert_eq!((compared.status, compared.verdict()), (0, "same"));
}
