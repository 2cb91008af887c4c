//! What models think of texts.
