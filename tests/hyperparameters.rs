//! What a configuration says is what is computed: keys that change a model's results are held to the golden logits of transformers
//! through relations that need no second reference.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[expect(dead_code, reason = "changes that others make")]
#[path = "support/changes.rs"]
mod changes;
#[expect(dead_code, reason = "changes that others make")]
#[path = "support/damaged.rs"]
mod damaged;
#[path = "support/folder.rs"]
mod folder;
#[expect(dead_code, reason = "changes that others make")]
#[path = "support/folder_writer.rs"]
mod folder_writer;
#[expect(dead_code, reason = "changes that others make")]
#[path = "support/gguf_writer.rs"]
mod gguf_writer;
#[path = "support/npy.rs"]
mod npy;

use damaged::Temporary;
use ffai::convert::{ConvertOptions, Float, convert};
use ffai::generate::{Backend, OpenOptions, executor, load};
use ffai::graph::Element;
use ffai::measure::difference;
use ffai::weights::Checkpoint;
use folder_writer::FolderWriter;
use gguf_writer::{GgufWriter, Item};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// NMSE of golden logits on the CPU.
const BAR: f64 = 1e-10;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn want(name: &str) -> Vec<f32> {
    npy::read(&golden(name)).concat()
}

/// Logits of the family's golden tokens, of all positions.
fn logits(path: &Path, family: &str) -> Vec<f32> {
    let tokens = std::fs::read(golden(family).join("tokens.json")).unwrap();
    let tokens: Vec<u32> = serde_json::from_slice(&tokens).unwrap();
    let options = OpenOptions { backend: Backend::Cpu, kv: Element::F32, ..OpenOptions::default() };
    let mut engine = load(&Checkpoint::open(path).unwrap(), &options, &mut |_, _| {}).unwrap();
    let sequence = engine.open().unwrap();
    let all: Vec<usize> = (0..tokens.len()).collect();
    engine.logits(sequence, &tokens, &all).unwrap().concat()
}

/// Logits of a folder of `family`, whose golden one is changed.
fn folder(family: &str, change: impl FnOnce(FolderWriter) -> FolderWriter) -> Vec<f32> {
    let folder = change(FolderWriter::golden(&format!("{family}/hf"))).write();
    logits(&folder.0, family)
}

/// Logits of a GGUF file of `family`, whose golden one is changed.
fn gguf(family: &str, change: impl FnOnce(GgufWriter) -> GgufWriter) -> Vec<f32> {
    let writer = damaged::file(&golden(&format!("{family}/{family}.gguf")));
    let file = Temporary::new(&change(writer).finish());
    logits(&file.0, family)
}

#[track_caller]
fn agree(got: &[f32], want: &[f32]) {
    let nmse = difference(got, want).nmse;
    assert!(nmse <= BAR, "nmse {nmse:e}");
}

#[track_caller]
fn differ(got: &[f32], want: &[f32]) {
    let nmse = difference(got, want).nmse;
    assert!(nmse > 1e3 * BAR, "nmse {nmse:e}");
}

fn capped(logits: &[f32], cap: f64) -> Vec<f32> {
    logits.iter().map(|&logit| (cap * (f64::from(logit) / cap).tanh()) as f32).collect()
}

#[test]
fn a_cap_of_null_is_no_cap() {
    let uncapped = folder("gemma2", |folder| folder.with("final_logit_softcapping", Value::Null));
    agree(&capped(&uncapped, 3.0), &want("gemma2/logits.npy"));
    differ(&uncapped, &want("gemma2/logits.npy"));
    // The bend of a cap that is far above every score is below what single precision holds.
    let null = folder("gemma2", |folder| folder.with("attn_logit_softcapping", Value::Null));
    let far = folder("gemma2", |folder| folder.with("attn_logit_softcapping", json!(1e4)));
    agree(&null, &far);
    differ(&null, &want("gemma2/logits.npy"));
}

#[test]
fn gemma_3_caps_its_logits_where_it_is_told_to() {
    let bent = capped(&want("gemma3/logits.npy"), 5.0);
    agree(&folder("gemma3", |folder| folder.with("final_logit_softcapping", json!(5.0))), &bent);
    agree(&gguf("gemma3", |file| file.with("gemma3.final_logit_softcapping", Item::F32(5.0))), &bent);
}

/// As llama.cpp reads files from before these keys.
#[test]
fn old_files_of_gemma_2_have_the_caps_and_the_window_of_the_family() {
    let [score, last, window] = ["attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window"]
        .map(|key| format!("gemma2.{key}"));
    let said = gguf("gemma2", |file| {
        file.with(&score, Item::F32(50.0)).with(&last, Item::F32(30.0)).with(&window, Item::U32(4096))
    });
    let silent = gguf("gemma2", |file| file.without(&score).without(&last).without(&window));
    assert_eq!(silent, said);
    differ(&silent, &want("gemma2/gguf.logits.npy"));
}

#[test]
fn a_file_may_bring_its_own_factor_of_scores() {
    // 24 is the golden folder's query_pre_attn_scalar, which no converter writes.
    let scaled = gguf("gemma2", |file| file.with("gemma2.attention.scale", Item::F32(24.0_f32.sqrt().recip())));
    agree(&scaled, &want("gemma2/logits.npy"));
    let usual = gguf("llama", |file| file.with("llama.attention.scale", Item::F32(0.25)));
    agree(&usual, &want("llama/logits.npy"));
    differ(&gguf("llama", |file| file.with("llama.attention.scale", Item::F32(0.3))), &want("llama/logits.npy"));
}

#[test]
fn rotary_tables_of_both_kinds_of_layer_are_read_alike() {
    let table = json!({"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6});
    let all = |kind: &str, table: Value| {
        folder("gemma3", |folder| {
            let folder = folder.with("layer_types", json!(vec![kind; 7])).with("sliding_window", json!(4096));
            folder.with(&format!("rope_parameters.{kind}"), table)
        })
    };
    let full = all("full_attention", table.clone());
    assert_eq!(all("sliding_attention", table), full);
    differ(&all("sliding_attention", json!({"rope_type": "default", "rope_theta": 1e6})), &full);
}

/// Converters leave the window out where no layer slides; all layers then have the global base.
#[test]
fn a_gemma_3_file_without_a_window_sees_everything_in_every_layer() {
    let full = folder("gemma3", |folder| folder.with("layer_types", json!(vec!["full_attention"; 7])));
    agree(&gguf("gemma3", |file| file.without("gemma3.attention.sliding_window")), &full);
    differ(&full, &want("gemma3/logits.npy"));
}

#[test]
fn windows_of_qwen_are_those_of_the_layers_from_max_window_layers_on() {
    for qwen in ["qwen2", "qwen3"] {
        let window =
            |folder: FolderWriter| folder.with("sliding_window", json!(8)).with("use_sliding_window", json!(true));
        let from = |first: u32| {
            folder(qwen, |folder| window(folder).without("layer_types").with("max_window_layers", json!(first)))
        };
        let listed = folder(qwen, |folder| {
            window(folder).with("layer_types", json!(["full_attention", "sliding_attention", "sliding_attention"]))
        });
        assert_eq!(from(1), listed);
        differ(&listed, &want(&format!("{qwen}/logits.npy")));
        agree(&from(3), &want(&format!("{qwen}/logits.npy")));
        // Nothing said is 28 layers, and a width of 4096.
        let silent = folder(qwen, |folder| {
            folder
                .without("layer_types")
                .without("sliding_window")
                .without("max_window_layers")
                .with("use_sliding_window", json!(true))
        });
        agree(&silent, &want(&format!("{qwen}/logits.npy")));
    }
}

#[test]
fn a_window_wider_than_every_position_is_none() {
    let null = folder("mistral", |folder| folder.with("sliding_window", Value::Null));
    for width in [4096, 1 << 30, u32::MAX] {
        assert_eq!(folder("mistral", |folder| folder.with("sliding_window", json!(width))), null, "{width}");
    }
    assert_eq!(folder("mistral", |folder| folder.without("sliding_window")), null, "4096 where nothing is said");
    differ(&null, &want("mistral/logits.npy"));
}

#[test]
fn the_original_context_is_the_whole_one_where_nothing_is_said() {
    let original = |length: u32| {
        folder("llama31", |folder| folder.with("rope_parameters.original_max_position_embeddings", json!(length)))
    };
    let silent = folder("llama31", |mut folder| {
        folder.config["rope_parameters"].as_object_mut().unwrap().remove("original_max_position_embeddings");
        folder
    });
    assert_eq!(silent, original(256));
    differ(&silent, &original(32));
    agree(&original(32), &want("llama31/logits.npy"));
}

/// What a GGUF file says in its own way is said to others in theirs.
#[test]
fn a_converted_file_computes_what_the_file_did() {
    type Change = fn(GgufWriter) -> GgufWriter;
    let changes: [(&str, Change); 5] = [
        ("gemma2", |file| {
            let file = file.without("gemma2.attn_logit_softcapping").without("gemma2.final_logit_softcapping");
            file.without("gemma2.attention.sliding_window")
        }),
        ("gemma2", |file| file.with("gemma2.attention.scale", Item::F32(0.2))),
        ("gemma3", |file| file.with("gemma3.final_logit_softcapping", Item::F32(5.0))),
        ("llama", |file| file.with("llama.rope.scaling.factor", Item::F32(4.0))),
        ("mistral", |file| file.with("llama.attention.sliding_window", Item::U32(5))),
    ];
    for (family, change) in changes {
        let writer = change(damaged::file(&golden(&format!("{family}/{family}.gguf"))));
        let file = Temporary::new(&writer.finish());
        let folder = folder::Folder::new();
        converted(&file.0, &folder.0.join("converted")).unwrap();
        agree(&logits(&folder.0.join("converted"), family), &logits(&file.0, family));
    }
    let writer = damaged::file(&golden("llama/llama.gguf")).with("llama.attention.scale", Item::F32(0.3));
    let file = Temporary::new(&writer.finish());
    let folder = folder::Folder::new();
    let error = converted(&file.0, &folder.0.join("converted")).unwrap_err();
    assert!(error.to_string().contains("scores with a factor of 0.3"), "{error}");
}

/// Converts to f32 on the reference.
fn converted(source: &Path, out: &Path) -> Result<(), ffai::Error> {
    let mut executor = executor(&OpenOptions { backend: Backend::Cpu, ..OpenOptions::default() })?;
    let options = ConvertOptions { dtype: Some(Float::F32), ..ConvertOptions::default() };
    let checkpoint = Checkpoint::open(source)?;
    convert(&checkpoint, out, &options, &mut *executor, &mut |_, _| ControlFlow::Continue(())).map(drop)
}
