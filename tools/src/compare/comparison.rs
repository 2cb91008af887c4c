//! All that changed between two profiles, and what it comes to.

use super::calls::{self, CallChange};
use super::counters::{self, Change};
use super::memory;
use super::pairing::Pairing;
use super::profile::Profile;
use super::times::{self, Finding, TimeChange};
use super::verdict::Verdict;

/// How far rounding may carry a loss past the threshold that it equals.
const ROUNDING_PERCENT: f64 = 1e-9;

/// From where on a change counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// What the total may lose.
    pub(super) threshold_percent: f64,
    /// What an op may differ by between two runs of the same program.
    pub(super) noise_percent: f64,
}

/// What changed. Every list has the worst first.
pub(super) struct Comparison<'a> {
    pub(super) before: &'a Profile,
    pub(super) after: &'a Profile,
    pub(super) limits: Limits,
    /// Why the two may not be comparable.
    pub(super) warnings: Vec<String>,
    /// Tokens compared, before and after, and whether they stand at the same positions.
    pub(super) tokens: (usize, usize),
    pub(super) paired: bool,
    pub(super) counters: Vec<Change>,
    pub(super) memory: Vec<Change>,
    pub(super) calls: Vec<CallChange>,
    pub(super) prefill_calls: Vec<CallChange>,
    pub(super) ops: Vec<TimeChange>,
    pub(super) total: Option<TimeChange>,
    /// Shown, and no part of the verdict: it is measured once.
    pub(super) prefill: Option<TimeChange>,
}

impl<'a> Comparison<'a> {
    pub(super) fn of(before: &'a Profile, after: &'a Profile, limits: Limits) -> Self {
        let tokens = Pairing::of(before, after);
        let (total, ops) = times::changes(&tokens, limits.noise_percent);
        let prefill = before.prefill.as_ref().zip(after.prefill.as_ref());
        let prefill = prefill.map(|(before, after)| Pairing::single(before, after));
        Self {
            before,
            after,
            limits,
            warnings: warnings(before, after, &tokens),
            tokens: (tokens.before.len(), tokens.after.len()),
            paired: tokens.paired,
            counters: counters::changes(before, after, &tokens),
            memory: memory::changes(before, after),
            calls: calls::changes(&tokens),
            prefill_calls: prefill.as_ref().map_or_else(Vec::new, calls::changes),
            ops,
            total,
            prefill: prefill.as_ref().and_then(times::prefill),
        }
    }

    /// Ops of which this was found.
    pub(super) fn found(&self, finding: Finding) -> usize {
        self.ops.iter().filter(|op| op.finding == finding).count()
    }

    /// Whether the comparison fails.
    pub(super) fn is_worse(&self) -> bool {
        !self.reasons().is_empty()
    }

    /// Why the comparison fails.
    pub(super) fn reasons(&self) -> Vec<String> {
        let rose = |changes: &[Change]| changes.iter().filter(|change| change.rose()).count();
        let mut reasons = Vec::new();
        match rose(&self.counters) {
            0 => {}
            1 => reasons.push("1 counter rose".to_owned()),
            many => reasons.push(format!("{many} counters rose")),
        }
        match rose(&self.memory) {
            0 => {}
            1 => reasons.push("memory grew in 1 row".to_owned()),
            many => reasons.push(format!("memory grew in {many} rows")),
        }
        reasons.extend(self.total.as_ref().and_then(|total| self.loss(total)));
        reasons
    }

    /// What the total lost, where that is more than it may and noise alone does not explain it. Too few tokens to know the noise are
    /// no excuse.
    fn loss(&self, total: &TimeChange) -> Option<String> {
        let certain = total.ratio.is_none_or(|ratio| ratio.low > 0.0);
        let doubt = if total.ratio.is_none() { ", with too few tokens to know the noise" } else { "" };
        let (loss, allowed) = (total.loss_percent(), self.limits.threshold_percent);
        (self.exceeds(total) && certain).then(|| format!("the total lost {loss:.1} % (allowed: {allowed} %){doubt}"))
    }

    fn exceeds(&self, total: &TimeChange) -> bool {
        total.loss_percent() > self.limits.threshold_percent + ROUNDING_PERCENT
    }

    /// A loss that would fail the comparison, were it certain.
    pub(super) fn doubtful_loss_percent(&self) -> Option<f64> {
        let total = self.total.as_ref().filter(|total| self.exceeds(total) && self.loss(total).is_none());
        total.map(TimeChange::loss_percent)
    }

    pub(super) fn verdict(&self) -> Verdict {
        let total = self.total.as_ref().map(|total| total.finding);
        let fell = self.counters.iter().chain(&self.memory).any(|change| !change.rose());
        if self.is_worse() {
            Verdict::Worse
        } else if total == Some(Finding::Faster) {
            Verdict::Better
        } else if total == Some(Finding::Slower) || self.found(Finding::Slower) > 0 {
            Verdict::Slower
        } else if fell || self.found(Finding::Faster) > 0 {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

/// What makes two profiles hard to compare.
fn warnings(before: &Profile, after: &Profile, tokens: &Pairing) -> Vec<String> {
    // Folders may differ between machines; the file is the model.
    let file = |model: &Option<String>| model.as_ref().and_then(|model| model.rsplit('/').next().map(str::to_owned));
    let length = |tokens: Option<f64>| tokens.map(|tokens| format!("{tokens} tokens"));
    let mut warnings = Vec::new();
    for (what, before, after) in [
        ("models", file(&before.model), file(&after.model)),
        ("devices", before.device.clone(), after.device.clone()),
        ("backends", before.backend.clone(), after.backend.clone()),
        ("methods of timing", before.method.clone(), after.method.clone()),
        ("prompts", length(before.prompt_tokens), length(after.prompt_tokens)),
        ("generated texts", length(before.generated_tokens), length(after.generated_tokens)),
    ] {
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            warnings.push(format!("{what} differ: {before}, then {after}"));
        }
    }
    if !tokens.paired {
        warnings.push("no tokens at the same positions: they attend to different lengths".to_owned());
    }
    for profile in [before, after] {
        let untimed: f64 = profile.tokens.values().map(|token| token.untimed_ops).sum();
        if untimed > 0.0 {
            warnings.push(format!("{}: {untimed} calls have no time, so times are too short", profile.file));
        }
    }
    warnings
}
