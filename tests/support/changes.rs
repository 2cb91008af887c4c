//! Single changes to a file that is to be.

use crate::gguf_writer::{GgufWriter, Item, Tensor};

impl GgufWriter {
    /// Replaces the value of a key, or adds it.
    pub(crate) fn with(mut self, key: &str, value: Item) -> Self {
        match self.keys.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.keys.push((key.to_owned(), value)),
        }
        self
    }

    /// Drops a key.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.retain(|(name, _)| name != key);
        self
    }

    /// Changes a tensor.
    pub(crate) fn change(mut self, name: &str, change: impl FnOnce(&mut Tensor)) -> Self {
        change(self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap());
        self
    }

    /// Gives a tensor another shape, with as many zeros as it takes in F32.
    pub(crate) fn shape(self, name: &str, dims: &[u64]) -> Self {
        self.change(name, |tensor| {
            tensor.dims = dims.to_vec();
            tensor.data = vec![0; dims.iter().product::<u64>() as usize * 4];
        })
    }

    /// Drops a tensor.
    pub(crate) fn lose(mut self, name: &str) -> Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }
}
