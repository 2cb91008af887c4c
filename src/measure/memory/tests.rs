use super::*;

fn parts() -> Vec<MemoryPart> {
    let part = |use_of, label: &str, bytes| MemoryPart { use_of, label: label.to_owned(), bytes };
    vec![
        part(MemoryUse::Weights, "token_embd.weight", 1000),
        part(MemoryUse::Weights, "blk.0.attn_q.weight", 100),
        part(MemoryUse::Weights, "blk.0.attn_norm.weight", 10),
        part(MemoryUse::Weights, "blk.10.ffn_down.weight", 300),
        part(MemoryUse::Weights, "blk.2.ffn_up.weight", 200),
        part(MemoryUse::Weights, "model.layers.2.self_attn.q_proj", 50),
        part(MemoryUse::Cache, "keys of layer 0", 64),
        part(MemoryUse::Cache, "values of layer 0", 64),
        part(MemoryUse::Cache, "keys of layer 1", 64),
        part(MemoryUse::Arena, "arena", 500),
        part(MemoryUse::Step, "page table", 7),
        part(MemoryUse::Staging, "readback", 40),
    ]
}

fn sample(parts: &[MemoryPart], device: u64, resident: u64) -> MemorySample<'_> {
    let report = MemoryReport { allocated: 2359, device: Some(device), budget: None, working_set: None };
    MemorySample { parts, report, kv_used_bytes: 33, resident_bytes: Some(resident), shared: true }
}

/// Every row is the sum of the rows right below it.
fn adds_up(usage: &[MemoryUsage]) {
    for (index, row) in usage.iter().enumerate() {
        let inner: Vec<&MemoryUsage> = usage[index + 1..]
            .iter()
            .take_while(|inner| inner.level > row.level)
            .filter(|inner| inner.level == row.level + 1)
            .collect();
        if !inner.is_empty() {
            let sum: u64 = inner.iter().map(|inner| inner.current_bytes).sum();
            assert_eq!(sum, row.current_bytes, "{} of {usage:?}", row.label);
        }
    }
}

#[test]
fn rows_add_up_to_what_device_and_system_report() {
    let parts = parts();
    let mut tree = MemoryTree::new(5000);
    tree.sample(&sample(&parts, 2500, 9000));
    let usage = tree.usage();
    adds_up(&usage);
    let bytes = |label: &str| usage.iter().find(|row| row.label == label).map(|row| row.current_bytes);
    assert_eq!(bytes("Device"), Some(2500));
    assert_eq!(bytes("Weights"), Some(1660));
    assert_eq!(bytes("Embedding"), Some(1000));
    assert_eq!(bytes("Host"), Some(9000));
    assert_eq!(bytes("Process baseline"), Some(5000));
    let unattributed: Vec<u64> =
        usage.iter().filter(|row| row.label == "Unattributed").map(|row| row.current_bytes).collect();
    assert_eq!(unattributed, [2500 - 2399, 9000 - 5000 - 2500]);
    let blocks: Vec<&str> = usage.iter().filter(|row| row.level == 2).map(|row| row.label.as_str()).collect();
    assert_eq!(blocks, ["Embedding", "Block 0", "Block 2", "Block 10", "Block 0", "Block 1"]);
}

#[test]
fn less_reported_than_known_leaves_nothing_unattributed() {
    let parts = parts();
    let mut tree = MemoryTree::new(5000);
    tree.sample(&sample(&parts, 100, 3000));
    adds_up(&tree.usage());
}

#[test]
fn peaks_stay_and_values_go_back() {
    let mut parts = parts();
    let mut tree = MemoryTree::new(0);
    tree.sample(&sample(&parts, 4000, 9000));
    parts.retain(|part| part.label != "arena");
    tree.sample(&sample(&parts, 3000, 8000));
    let row = |label: &str| tree.rows().into_iter().find(|row| row.label == label).unwrap();
    assert_eq!(row("Arena").current_total_mb, 0.0);
    assert_eq!(row("Arena").peak_pool_mb, 500.0 / 1_048_576.0);
    let device = row("Device");
    assert_eq!((device.current_total_mb, device.peak_total_mb), (3000.0 / 1_048_576.0, 4000.0 / 1_048_576.0));
    assert_eq!(device.current_kv_mb, 33.0 / 1_048_576.0);
    assert_eq!(device.absolute_kv_cache_mb, 192.0 / 1_048_576.0);
    assert!(device.show_absolute && !row("Arena").show_absolute);
    // Two rows of one name in different places keep their own peaks.
    let unattributed: Vec<u64> =
        tree.usage().iter().filter(|row| row.label == "Unattributed").map(|row| row.peak_bytes).collect();
    assert_eq!(unattributed, [4000 - 2399, 9000 - 4000]);
}
