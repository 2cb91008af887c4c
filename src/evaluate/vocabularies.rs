//! Whether two models speak of the same tokens.

use crate::Error;
use crate::text::Tokenizer;

/// Refuses to compare models whose tokens are different ones. Of files that were padded to a round size some name what pads and some do
/// not, so tokens that only one has a name for are no difference.
///
/// # Errors
/// [`Error::Vocabularies`], with both sizes, or with the first token that differs where these are equal.
pub fn same_vocabulary(reference: &Tokenizer, candidate: &Tokenizer) -> Result<(), Error> {
    let (left, right) = (reference.vocab_size(), candidate.vocab_size());
    let mut ids = 0..left.min(right) as u32;
    let Some(id) = ids.find(|&id| reference.token_bytes(id) != candidate.token_bytes(id)) else { return Ok(()) };
    let show = |tokenizer: &Tokenizer| {
        tokenizer.token_bytes(id).iter().take(40).copied().collect::<Vec<u8>>().escape_ascii().to_string()
    };
    let what = match left == right {
        true => format!("; token {id} is `{}` to one and `{}` to the other", show(reference), show(candidate)),
        false => String::new(),
    };
    Err(Error::Vocabularies { reference: left as u64, candidate: right as u64, what })
}
