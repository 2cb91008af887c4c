//! A reference model beside the one that is measured, or after it where both do not fit the device together.

use super::runner::BenchRunner;
use super::{BenchOptions, Error};
use crate::evaluate::{Against, Divergence, Job, RawLogits, divergence_of, same_vocabulary};
use crate::generate::Engine;
use crate::graph::ExecuteError;
use crate::text::Tokenizer;
use std::ops::ControlFlow;

/// Opens a model beside what takes so many bytes of the device already.
pub(super) type Opening<'e> = Box<dyn FnMut(u64) -> Result<(Engine, Tokenizer), crate::Error> + 'e>;

/// How a reference is opened, and the reference once it is.
pub(super) struct ReferenceModel<'e> {
    open: Opening<'e>,
    engine: Option<Engine>,
}

impl<'e> BenchRunner<'e> {
    /// Compares with a reference, where [`BenchOptions::reference`] asks for it: divergences are measured over the same tokens. It is
    /// opened when the runs are over, so that it takes part in none of their numbers; `open` is told how many bytes of the device the
    /// measured model takes.
    #[must_use]
    pub fn with_reference(mut self, open: impl FnMut(u64) -> Result<(Engine, Tokenizer), crate::Error> + 'e) -> Self {
        self.reference = Some(ReferenceModel { open: Box::new(open), engine: None });
        self
    }

    /// Where reference and model do not fit the device together, one is run after the other: `open` opens the measured model again.
    #[must_use]
    pub fn with_reopening(mut self, open: impl FnMut(u64) -> Result<(Engine, Tokenizer), crate::Error> + 'e) -> Self {
        self.reopen = Some(Box::new(open));
        self
    }

    /// How far the model is from the reference over jobs; `None` where nothing is to be compared.
    ///
    /// # Errors
    /// The reference's own, and a vocabulary that is not the model's.
    pub(super) fn diverged(&mut self, options: &BenchOptions, jobs: &[Job]) -> Result<Option<Divergence>, Error> {
        let in_use = self.engine().memory().bytes();
        let tokenizer = self.tokenizer;
        let Some(reference) = self.reference.as_mut().filter(|_| options.reference) else { return Ok(None) };
        if reference.engine.is_none() {
            match (reference.open)(in_use) {
                Ok((engine, own)) => {
                    same_vocabulary(&own, tokenizer)?;
                    reference.engine = Some(engine);
                }
                Err(error) if no_room(&error) && self.reopen.is_some() => return self.in_turn(jobs).map(Some),
                Err(error) => return Err(error.into()),
            }
        }
        let (Some(reference), Some(engine)) = (&mut reference.engine, &mut self.engine) else { return Ok(None) };
        Ok(Some(compared(Against::Engine(reference), engine, jobs)?))
    }

    /// Takes the model off the device while the reference runs.
    fn in_turn(&mut self, jobs: &[Job]) -> Result<Divergence, Error> {
        let (Some(reference), Some(reopen)) = (&mut self.reference, &mut self.reopen) else {
            panic!("models that cannot be opened again do not take turns")
        };
        tracing::debug!(target: "ffai::bench", "model and reference do not fit together: one runs after the other");
        self.engine = None;
        let mut raw = {
            let (mut engine, own) = (reference.open)(0)?;
            same_vocabulary(&own, self.tokenizer)?;
            RawLogits::of(&mut engine, &mut jobs.iter().cloned())?
        };
        let engine = self.engine.insert(reopen(0)?.0);
        Ok(compared(Against::Raw(&mut raw), engine, jobs)?)
    }
}

fn compared(against: Against<'_>, engine: &mut Engine, jobs: &[Job]) -> Result<Divergence, crate::Error> {
    divergence_of(against, engine, &mut jobs.iter().cloned(), &mut |_| ControlFlow::Continue(()))
}

fn no_room(error: &crate::Error) -> bool {
    matches!(error, crate::Error::Misfit(_) | crate::Error::Device(ExecuteError::OutOfMemory { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Method;
    use crate::generate::{Backend, OpenOptions, open};
    use crate::graph::Element;

    fn model(kv: Element, budget: Option<u64>) -> Result<(Engine, Tokenizer), crate::Error> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama3.gguf");
        let options = OpenOptions { backend: Backend::Cpu, kv, memory_budget: budget, ..OpenOptions::default() };
        open(path.as_ref(), &options, &mut |_, _| {})
    }

    /// A budget that nothing fits stands for a device that is full.
    #[test]
    fn models_that_do_not_fit_together_take_turns_and_find_the_same() {
        let (engine, tokenizer) = model(Element::F32, None).unwrap();
        let options = BenchOptions {
            prompt: Some("hello".to_owned()),
            max_tokens: Some(6),
            ignore_eos: true,
            reference: true,
            ..BenchOptions::default()
        };
        let side_by_side = BenchRunner::new(engine, &tokenizer, "tiny")
            .with_reference(|_| model(Element::F16, None))
            .run(Method::Simple, &options)
            .unwrap();
        let reopened = std::cell::Cell::new(0);
        let full = |in_use: u64| model(Element::F16, (in_use > 0).then_some(1000));
        let engine = model(Element::F32, None).unwrap().0;
        let mut runner = BenchRunner::new(engine, &tokenizer, "tiny").with_reference(full).with_reopening(|_| {
            reopened.set(reopened.get() + 1);
            model(Element::F32, None)
        });
        let in_turn = runner.run(Method::Simple, &options).unwrap();
        assert!(side_by_side[0].gen_kl_divergence.unwrap() > 0.0);
        assert_eq!(in_turn[0].gen_kl_divergence, side_by_side[0].gen_kl_divergence);
        assert!(runner.into_engine().is_some());
        assert_eq!(reopened.get(), 1);
        let engine = model(Element::F32, None).unwrap().0;
        let refused = BenchRunner::new(engine, &tokenizer, "tiny").with_reference(full).run(Method::Simple, &options);
        assert!(refused.unwrap_err().to_string().contains("budget"), "without a way to open the model again");
    }
}
