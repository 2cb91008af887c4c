//! `config.json` of the result: the source's own, with what has changed.

use super::entry::Entry;
use super::rows::Target;
use super::{ConvertOptions, Float};
use serde_json::{Map, Value, json};

/// The keys of a JSON object.
pub(super) type Config = Map<String, Value>;

/// Changes the configuration of a checkpoint to that of its conversion.
pub(super) fn adapt(config: &mut Config, entries: &[Entry<'_>], options: &ConvertOptions, dtype: Float) {
    for key in ["quantization", "quantization_config", "_name_or_path"] {
        config.remove(key);
    }
    rename_dtype(config, dtype);
    add_older_keys(config);
    if let Some(text) = config.get_mut("text_config").and_then(Value::as_object_mut) {
        for key in ["quantization", "quantization_config"] {
            text.remove(key);
        }
        rename_dtype(text, dtype);
        add_older_keys(text);
    }
    if let Some(quantization) = quantization(entries, options) {
        // Twice, as MLX writes it: the second name is where Hugging Face looks.
        config.insert("quantization".to_owned(), quantization.clone());
        config.insert("quantization_config".to_owned(), quantization);
    }
}

fn rename_dtype(config: &mut Config, dtype: Float) {
    for key in ["torch_dtype", "dtype"] {
        if config.contains_key(key) {
            config.insert(key.to_owned(), dtype.torch().into());
        }
    }
}

/// What holds for all layers, and an entry for every matrix that differs: its own bits, or `false`. `None` where nothing is
/// quantized.
fn quantization(entries: &[Entry<'_>], options: &ConvertOptions) -> Option<Value> {
    let table = |bits: u32, group: u32| json!({"group_size": group, "bits": bits, "mode": "affine"});
    let default = options.bits?;
    let mut quantization = table(default, options.group);
    for entry in entries.iter().filter(|entry| entry.tensors[0].shape.len() > 1) {
        let own = match entry.target {
            Target::Affine { bits, .. } if bits == default => continue,
            Target::Affine { bits, group } => table(bits, group),
            Target::Plain => Value::Bool(false),
        };
        let layer = entry.name.strip_suffix(".weight").unwrap_or(&entry.name);
        quantization[layer] = own;
    }
    Some(quantization)
}

/// Says what transformers 5 keeps in `rope_parameters` and `layer_types` by its older names too, where they are missing: MLX and
/// other readers know only those, and take their own defaults for what they do not find.
fn add_older_keys(config: &mut Config) {
    let Some(tables) = config.get("rope_parameters").and_then(Value::as_object).cloned() else { return };
    let table = |name: &str| tables.get(name).and_then(Value::as_object);
    let everywhere = table("full_attention").unwrap_or(&tables);
    if let Some(base) = table("sliding_attention").and_then(|local| local.get("rope_theta")) {
        add(config, "rope_local_base_freq", base.clone());
    }
    if let Some(base) = everywhere.get("rope_theta") {
        add(config, "rope_theta", base.clone());
    }
    let kind = everywhere.get("rope_type").and_then(Value::as_str).unwrap_or("default");
    if kind != "default" {
        let mut scaling = everywhere.clone();
        scaling.remove("rope_theta");
        add(config, "rope_scaling", Value::Object(scaling));
    }
    if let Some(pattern) = period(config) {
        add(config, "sliding_window_pattern", pattern.into());
    }
}

/// Adds a key that is missing, or null, which means the same.
fn add(config: &mut Config, key: &str, value: Value) {
    if config.get(key).is_none_or(Value::is_null) {
        config.insert(key.to_owned(), value);
    }
}

/// Every so many layers one sees everything, the last of its period; `None` where layers follow another rule, or all are alike.
fn period(config: &Config) -> Option<usize> {
    let kinds: Vec<&str> =
        config.get("layer_types")?.as_array()?.iter().map(|kind| kind.as_str().unwrap_or("")).collect();
    let period = 1 + kinds.iter().position(|kind| *kind == "full_attention")?;
    let slides = |(layer, kind): (usize, &&str)| (*kind == "sliding_attention") == ((layer + 1) % period != 0);
    (period > 1 && kinds.iter().enumerate().all(slides)).then_some(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(config: Value) -> Value {
        let Value::Object(mut config) = config else { panic!() };
        adapt(&mut config, &[], &ConvertOptions::default(), Float::Bf16);
        Value::Object(config)
    }

    #[test]
    fn newer_tables_are_said_by_older_names_too() {
        let scaled = json!({"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5});
        let config = adapted(json!({"rope_parameters": scaled, "rope_scaling": null, "dtype": "float32"}));
        assert_eq!(config["rope_theta"], 5e5);
        assert_eq!(config["rope_scaling"], json!({"rope_type": "llama3", "factor": 8.0}));
        assert_eq!(config["dtype"], "bfloat16");
        let kinds = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"];
        let by_kind = json!({"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                             "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}});
        let config = adapted(json!({"text_config": {"rope_parameters": by_kind, "layer_types": kinds}}));
        let text = &config["text_config"];
        assert_eq!((&text["rope_theta"], &text["rope_local_base_freq"]), (&json!(1e6), &json!(1e4)));
        assert_eq!((&text["sliding_window_pattern"], text.get("rope_scaling")), (&json!(3), None));
    }

    #[test]
    fn what_a_file_says_by_its_older_name_stays() {
        let config = adapted(json!({"rope_parameters": {"rope_theta": 5e5}, "rope_theta": 7.0}));
        assert_eq!(config["rope_theta"], 7.0);
    }

    #[test]
    fn an_old_quantization_goes() {
        let config = adapted(json!({"quantization": {"bits": 4}, "quantization_config": {"bits": 4}, "x": 1}));
        assert_eq!(config, json!({"x": 1}));
    }
}
