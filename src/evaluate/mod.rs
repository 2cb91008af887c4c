//! What models think of texts: how probable a text is to one, and how far apart two are.
//!
//! [`score_all`] is what the rest stands on: it runs texts through the path of prompts, several in a batch, and asks of every scored
//! token four words of the device instead of its logits.

mod batches;
mod corpus;
mod divergence;
mod likelihood;
mod lockstep;
mod perplexity;
mod saved_logits;
mod thinking;
mod vocabularies;

pub use batches::{Job, score_all};
pub use corpus::{Corpus, corpus};
pub use divergence::{Divergence, Estimate, Pair, Position, Reference, Statistics};
pub use likelihood::{Likelihood, Query, likelihoods, rolling_likelihoods};
pub use lockstep::{Against, RawLogits, divergence, divergence_of, save_reference};
pub use perplexity::{ChunkSum, Method, NllSum, Perplexity, PerplexityOptions, continuation, perplexity};
pub use saved_logits::{SavedLogits, SavedLogitsWriter};
pub use thinking::{Part, parts};
pub use vocabularies::same_vocabulary;
