//! Whether two models speak of the same tokens.

use crate::Error;
use crate::text::Tokenizer;

/// Refuses to compare models whose tokens are different ones.
///
/// # Errors
/// [`Error::Vocabularies`], with both sizes, or with the first token that differs where these are equal.
pub fn same_vocabulary(reference: &Tokenizer, candidate: &Tokenizer) -> Result<(), Error> {
    let (left, right) = (reference.vocab_size(), candidate.vocab_size());
    let refused = |what| Err(Error::Vocabularies { reference: left as u64, candidate: right as u64, what });
    if left != right {
        return refused(String::new());
    }
    let show = |bytes: &[u8]| bytes.iter().take(40).copied().collect::<Vec<u8>>().escape_ascii().to_string();
    for id in 0..left as u32 {
        let (one, other) = (reference.token_bytes(id), candidate.token_bytes(id));
        if one != other {
            return refused(format!("; token {id} is `{}` to one and `{}` to the other", show(one), show(other)));
        }
    }
    Ok(())
}
