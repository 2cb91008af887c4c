//! What several tools need: reading text and ids, opening a model, printing.

use crate::failure::Failure;
use clap::{Args, ValueEnum};
use ffai::generate::{Backend, Engine, OpenOptions};
use ffai::graph::{Element, ExecuteError};
use ffai::text::Tokenizer;
use ffai::weights::{self, Checkpoint};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

/// Options of tools that run a model.
#[derive(Args, Debug)]
pub(crate) struct Running {
    /// A GGUF file, or a folder that holds one
    #[arg(short, long)]
    model: String,
    /// What runs the model; `cpu` is the slow reference
    #[arg(long, value_enum, value_name = "NAME", default_value = "gpu")]
    backend: BackendChoice,
    /// What keys and values are stored as
    #[arg(long, value_enum, value_name = "TYPE", default_value = "f16")]
    kv_cache: KvCache,
}

/// What runs a model.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BackendChoice {
    Gpu,
    Cpu,
}

impl BackendChoice {
    /// As options spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
        }
    }
}

impl From<BackendChoice> for Backend {
    fn from(choice: BackendChoice) -> Self {
        match choice {
            BackendChoice::Gpu => Self::Gpu,
            BackendChoice::Cpu => Self::Cpu,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KvCache {
    F16,
    F32,
}

impl Running {
    /// The model as it was named.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// How it runs, for files that results are kept in.
    pub(crate) fn spelled(&self) -> String {
        format!("{:?}, {:?}", self.backend, self.kv_cache)
    }

    /// The model on its device.
    pub(crate) fn open(&self) -> Result<(Engine, Tokenizer), Failure> {
        self.open_for(None)
    }

    /// The same with room for `context` tokens a sequence.
    pub(crate) fn open_for(&self, context: Option<u32>) -> Result<(Engine, Tokenizer), Failure> {
        self.open_model(&self.model, context)
    }

    /// The model on the device that another one is on; `None` where there is no room for both, as far as the device tells.
    pub(crate) fn open_beside(
        &self,
        other: &Engine,
        context: Option<u32>,
    ) -> Result<Option<(Engine, Tokenizer)>, Failure> {
        let memory = other.memory();
        let budget = memory.budget.or(memory.working_set).map(|budget| budget.saturating_sub(memory.bytes()));
        let options = OpenOptions { memory_budget: budget, ..self.options(context) };
        match ffai::generate::open(&weights::locate(&self.model)?, &options, &mut |_, _| {}) {
            Ok(opened) => Ok(Some(opened)),
            Err(ffai::Error::Misfit(_) | ffai::Error::Device(ExecuteError::OutOfMemory { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Another model, in the same way.
    pub(crate) fn open_model(&self, model: &str, context: Option<u32>) -> Result<(Engine, Tokenizer), Failure> {
        Ok(ffai::generate::open(&weights::locate(model)?, &self.options(context), &mut |_, _| {})?)
    }

    fn options(&self, context: Option<u32>) -> OpenOptions {
        OpenOptions {
            context,
            backend: self.backend.into(),
            kv: match self.kv_cache {
                KvCache::F16 => Element::F16,
                KvCache::F32 => Element::F32,
            },
            ..OpenOptions::default()
        }
    }
}

/// Refuses tokens that the model cannot hold or does not have.
pub(crate) fn check_ids(ids: &[u32], engine: &Engine, most: usize) -> Result<(), Failure> {
    let vocab = engine.model().config().vocab;
    if ids.is_empty() {
        return Err(ffai::Error::EmptyPrompt.into());
    }
    if let Some(&found) = ids.iter().find(|&&id| id >= vocab) {
        return Err(ffai::Error::UnknownToken { found, vocab }.into());
    }
    if ids.len() > most {
        return Err(Failure::failed(format!("{} tokens were given, and the context has room for {most}", ids.len())));
    }
    Ok(())
}

/// A model's tokenizer, without its weights.
pub(crate) fn tokenizer(model: &str) -> Result<Tokenizer, Failure> {
    Ok(ffai::generate::tokenizer(&Checkpoint::open(&weights::locate(model)?)?)?)
}

/// A text file, or standard input where there is none and it is no terminal.
pub(crate) fn text(file: Option<&Path>) -> Result<String, Failure> {
    let (bytes, from) = match file {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|source| ffai::Error::File { path: file.to_owned(), source })?;
            (bytes, file.display().to_string())
        }
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("there is no text: give --text, --file or standard input".to_owned()));
        }
        None => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            read.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
            (bytes, "standard input".to_owned())
        }
    };
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::failed(format!("{from}: expected UTF-8 text, found another byte at {at}"))
    })
}

/// A list of token ids: `1,2,3`, also in the brackets of JSON.
pub(crate) fn ids(text: &str) -> Result<Vec<u32>, String> {
    let list = text.trim();
    let list = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(list);
    if list.trim().is_empty() {
        return Err("expected at least one token id, found none".to_owned());
    }
    let id = |part: &str| {
        part.trim().parse().map_err(|_| format!("expected token ids such as 1,2,3, found `{}`", part.trim()))
    };
    list.split(',').map(id).collect()
}

/// Prints to standard output.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(|error| Failure::write(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_or_without_brackets() {
        assert_eq!(ids("1,2, 3"), Ok(vec![1, 2, 3]));
        assert_eq!(ids("[1, 2]\n"), Ok(vec![1, 2]));
        for bad in ["", "[]", "1,,2", "1 2", "-1", "x", "[1"] {
            assert!(ids(bad).is_err(), "{bad}");
        }
    }
}
