//! What the files beside `tokenizer.json` say about special tokens.

use std::path::Path;

use serde_json::Value;

use super::components::Frame;
use super::definition::Added;
use super::files::{Settings, invalid, quoted, token_text};
use super::generation_defaults::GenerationDefaults;
use crate::text::Error;

/// Special tokens by the names that transformers gives them.
const NAMES: &[&str] = &["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const LISTS: &[&str] = &["additional_special_tokens", "extra_special_tokens"];

/// The settings of one folder.
pub(super) struct Named {
    tokenizer: Settings,
    map: Settings,
    generation: GenerationDefaults,
    generation_file: std::path::PathBuf,
    config: Settings,
}

impl Added {
    /// A token of the vocabulary that settings make special.
    pub(super) fn special(text: &str, id: u32) -> Self {
        let content = text.to_owned();
        Self { id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }
    }
}

impl Named {
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            tokenizer: Settings::read(folder, "tokenizer_config.json")?,
            map: Settings::read(folder, "special_tokens_map.json")?,
            generation: GenerationDefaults::from_folder(folder)?,
            generation_file: folder.join(GenerationDefaults::FILE),
            config: Settings::read(folder, "config.json")?,
        })
    }

    /// The file that says most of it, for messages.
    pub(super) fn file(&self) -> &Path {
        &self.tokenizer.file
    }

    /// Added tokens that `tokenizer_config.json` lists by id.
    pub(super) fn added(&self) -> Result<Vec<Added>, Error> {
        let key = "added_tokens_decoder";
        let Some(value) = self.tokenizer.get(key) else { return Ok(Vec::new()) };
        let wrong = || self.tokenizer.wrong(key, "added tokens by id", value);
        let token = |(id, fields): (&String, &Value)| {
            let mut token: Added = serde_json::from_value(fields.clone()).ok()?;
            token.id = id.parse().ok()?;
            Some(token)
        };
        let entries = value.as_object().ok_or_else(wrong)?;
        entries.iter().map(|entry| token(entry).ok_or_else(wrong)).collect()
    }

    /// The texts of all special tokens that are named.
    pub(super) fn specials(&self) -> Result<Vec<&str>, Error> {
        let mut texts = Vec::new();
        for settings in [&self.tokenizer, &self.map] {
            for name in NAMES {
                texts.extend(settings.token(name)?);
            }
            // Lists of tokens; some checkpoints have other things of that name.
            let lists = LISTS.iter().filter_map(|name| settings.get(name)?.as_array());
            texts.extend(lists.flatten().filter_map(token_text));
        }
        Ok(texts)
    }

    /// The token that begins a text: by name, else by the id in `generation_config.json` or `config.json`.
    pub(super) fn bos(&self, tokens: &[String]) -> Result<Option<u32>, Error> {
        if let Some(id) = self.named("bos_token", tokens)? {
            return Ok(Some(id));
        }
        let id = match self.generation.bos_id {
            Some(id) => Some((id, self.generation_file.as_path())),
            None => self.config.ids("bos_token_id")?.first().map(|&id| (id, self.config.file.as_path())),
        };
        id.map(|(id, file)| in_table(id, "bos_token_id", tokens.len(), file)).transpose()
    }

    /// The token that ends a text, by name.
    pub(super) fn eos(&self, tokens: &[String]) -> Result<Option<u32>, Error> {
        self.named("eos_token", tokens)
    }

    fn named(&self, name: &str, tokens: &[String]) -> Result<Option<u32>, Error> {
        for settings in [&self.tokenizer, &self.map] {
            if let Some(text) = settings.token(name)? {
                let id = tokens.iter().position(|token| token == text).filter(|_| !text.is_empty());
                let missing = || invalid(&settings.file, name, "a token of tokenizer.json", quoted(text));
                return Ok(Some(id.ok_or_else(missing)? as u32));
            }
        }
        Ok(None)
    }

    /// The ids that the configurations name as ends.
    pub(super) fn end_ids(&self, length: usize) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        for &id in &self.generation.eos_ids {
            ids.push(in_table(id, "eos_token_id", length, &self.generation_file)?);
        }
        // Checkpoints that also see or hear keep the language model's settings apart.
        let nested = self.config.nested("text_config");
        for settings in std::iter::once(&self.config).chain(&nested) {
            for id in settings.ids("eos_token_id")? {
                ids.push(in_table(id, "eos_token_id", length, &settings.file)?);
            }
        }
        Ok(ids)
    }

    /// Applies `add_bos_token` and `add_eos_token`, which overrule the post-processor.
    pub(super) fn adjust(&self, frame: &mut Frame, bos: Option<u32>, eos: Option<u32>) -> Result<(), Error> {
        for (key, id, ids) in [("add_bos_token", bos, &mut frame.before), ("add_eos_token", eos, &mut frame.after)] {
            // As in transformers, there is nothing to add or leave out without a token of that name.
            let (Some(adds), Some(id)) = (self.tokenizer.bool(key)?, id) else { continue };
            match (adds, ids.contains(&id)) {
                (true, false) => ids.push(id),
                (false, true) => ids.retain(|other| *other != id),
                _ => {}
            }
        }
        Ok(())
    }
}

fn in_table(id: u32, key: &str, length: usize, file: &Path) -> Result<u32, Error> {
    match (id as usize) < length {
        true => Ok(id),
        false => Err(invalid(file, key, &format!("an id below {length}, the number of tokens"), id)),
    }
}
