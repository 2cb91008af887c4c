//! Conversations to prompts: the Jinja template that a checkpoint brings along, rendered as Python's jinja2 renders it.
//!
//! A [`ChatTemplate`] comes from a GGUF file ([`ChatTemplate::of`] its tokenizer) or from a folder of Hugging Face files
//! ([`ChatTemplate::from_folder`]), and turns a [`ChatInput`] into text. Templates are programs that strangers wrote: each runs
//! within a budget of steps, bytes and depth, and what goes beyond it is an error.
//!
//! The environment is the one that transformers gives its templates (`chat_template_utils.py`). minijinja parses and runs them;
//! `python/` holds what Python does otherwise: how values are written, `tojson`, operators, filters and methods.

mod budget;
mod conversation;
mod environment;
mod features;
mod folder;
mod generation_tags;
mod python;
mod rewrite;
mod template;

pub use conversation::{ChatInput, Message};
pub use features::ChatFeatures;
pub use template::{ChatTemplate, SpecialTokens};
