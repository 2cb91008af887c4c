//! What a comparison comes to.

/// What all changes come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Something lost more than it may: time beyond the threshold, or a counter, memory or a quality at all.
    Worse,
    /// Something slowed beyond the noise, and within the threshold.
    Slower,
    /// Nothing became worse, and something better.
    Better,
    /// Nothing was found to have changed, and of something it cannot be told.
    Unclear,
    Same,
}

impl Verdict {
    /// As it is shown.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Slower => "slower",
            Self::Better => "better",
            Self::Unclear => "can't tell",
            Self::Same => "same",
        }
    }
}
