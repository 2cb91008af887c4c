//! The template of a folder of Hugging Face files.

use super::template::{ChatTemplate, SpecialTokens};
use crate::text::hugging_face::files::{self, Settings, invalid};
use crate::text::{Error, Tokenizer};
use serde_json::Value;
use std::path::Path;

/// More than any template has; what is longer than a template may be is told by [`ChatTemplate::new`].
const MOST_BYTES: u64 = 4 << 20;

impl ChatTemplate {
    /// The template of a checkpoint that was opened from `path`, a file or a folder: the one that its tokenizer brings along,
    /// else that of the folder. `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`ChatTemplate::from_folder`].
    pub fn find(path: &Path, tokenizer: &Tokenizer) -> Result<Option<Self>, Error> {
        if let Some(template) = Self::of(tokenizer)? {
            return Ok(Some(template));
        }
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        folder.map_or(Ok(None), Self::from_folder)
    }

    /// The template of a folder, from `chat_template.jinja`, else `chat_template.json`, else `tokenizer_config.json`, with the
    /// special tokens that `tokenizer_config.json` and `special_tokens_map.json` name. `None` where no file has one.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is not what it should be, and what [`ChatTemplate::new`] refuses.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>, Error> {
        let config = Settings::read(folder, "tokenizer_config.json")?;
        let templates = match text(&folder.join("chat_template.jinja"))? {
            Some(source) => Some(Templates { default: source, tool_use: None }),
            None => match named(&Settings::read(folder, "chat_template.json")?)? {
                Some(templates) => Some(templates),
                None => named(&config)?,
            },
        };
        let Some(Templates { default, tool_use }) = templates else { return Ok(None) };
        let map = Settings::read(folder, "special_tokens_map.json")?;
        let template = Self::new(&default, special_tokens(&config, &map)?)?;
        match tool_use {
            Some(source) => template.with_tool_use(&source).map(Some),
            None => Ok(Some(template)),
        }
    }
}

struct Templates {
    default: String,
    tool_use: Option<String>,
}

/// The file's text; `None` where there is no such file.
fn text(path: &Path) -> Result<Option<String>, Error> {
    let Some(bytes) = files::bytes(path, MOST_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        invalid(path, "text", "UTF-8", format!("another byte at {at}"))
    })
}

/// `chat_template`: a text, or a list of `name` and `template`.
fn named(file: &Settings) -> Result<Option<Templates>, Error> {
    let key = "chat_template";
    let list = match file.get(key) {
        None => return Ok(None),
        Some(Value::String(source)) => return Ok(Some(Templates { default: source.clone(), tool_use: None })),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(file.wrong(key, "a template or a list of named ones", other)),
    };
    let find = |wanted: &str| {
        let entry = list.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(wanted))?;
        entry.get("template")?.as_str().map(str::to_owned)
    };
    match find("default") {
        Some(default) => Ok(Some(Templates { default, tool_use: find("tool_use") })),
        None => Err(invalid(&file.file, key, "one of the list to be named `default`", "none")),
    }
}

fn special_tokens(config: &Settings, map: &Settings) -> Result<SpecialTokens, Error> {
    let token = |name: &str| {
        let text = config.token(name)?.or(map.token(name)?);
        Ok(text.map(str::to_owned))
    };
    Ok(SpecialTokens {
        bos: token("bos_token")?,
        eos: token("eos_token")?,
        unknown: token("unk_token")?,
        padding: token("pad_token")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{ChatInput, Message};

    fn folder(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("ffai-template-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
        }
        folder
    }

    fn rendered(name: &str, files: &[(&str, &str)], tools: bool) -> Result<Option<String>, Error> {
        let folder = folder(name, files);
        let template = ChatTemplate::from_folder(&folder);
        std::fs::remove_dir_all(folder).unwrap();
        let tool = [serde_json::json!({})];
        let messages = [Message::new("user", "x")];
        let input = ChatInput { tools: tools.then_some(&tool), ..ChatInput::new(&messages) };
        template.map(|template| template.map(|template| template.render(&input).unwrap()))
    }

    #[test]
    fn the_file_of_its_own_wins() {
        let config = (
            "tokenizer_config.json",
            r#"{"bos_token": {"content": "<b>"}, "eos_token": "<e>", "pad_token": null, "chat_template": "config"}"#,
        );
        let jinja = ("chat_template.jinja", "{{ bos_token ~ eos_token ~ pad_token is defined }}");
        let json = ("chat_template.json", r#"{"chat_template": "json"}"#);
        assert_eq!(rendered("own", &[config, jinja, json], false).unwrap().unwrap(), "<b><e>False");
        assert_eq!(rendered("json", &[config, json], false).unwrap().unwrap(), "json");
        assert_eq!(rendered("config", &[config], false).unwrap().unwrap(), "config");
        assert_eq!(rendered("none", &[("tokenizer_config.json", "{}")], false).unwrap(), None);
        assert_eq!(rendered("empty", &[], false).unwrap(), None);
    }

    #[test]
    fn tools_take_the_template_that_is_named_for_them() {
        let both =
            r#"{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}"#;
        assert_eq!(rendered("both", &[("tokenizer_config.json", both)], true).unwrap().unwrap(), "t");
        assert_eq!(rendered("both", &[("tokenizer_config.json", both)], false).unwrap().unwrap(), "d");
    }

    #[test]
    fn damaged_files_are_named() {
        let bad = [
            ("tokenizer_config.json", "{", "expected an object"),
            (
                "tokenizer_config.json",
                r#"{"chat_template": 3}"#,
                "expected a template or a list of named ones, found 3",
            ),
            ("tokenizer_config.json", r#"{"chat_template": [{"name": "rag", "template": "r"}]}"#, "named `default`"),
            ("chat_template.jinja", "{% if %}", "line 1"),
        ];
        for (file, content, expected) in bad {
            let error = rendered("bad", &[(file, content)], false).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
