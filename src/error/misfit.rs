//! Why a model does not run on a device, and what would.

use crate::graph::{Needs, binary};
use std::fmt;
use std::path::PathBuf;

/// A model that is too large for a device, found before anything of it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The checkpoint.
    pub file: PathBuf,
    /// Tokens of the context: what was asked for, or the shortest there is.
    pub context: u32,
    /// What is lacking.
    pub shortage: Shortage,
    /// The longest context that fits.
    pub largest_context: Option<u32>,
    /// The largest other quantization of the same model beside it that fits.
    pub smaller: Option<Smaller>,
    /// A larger one that the hub has and that should fit.
    pub offered: Option<Offered>,
}

/// What a device lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Memory, in bytes.
    Memory {
        /// What the model takes.
        needs: Needs,
        /// What is allocated already.
        used: u64,
        /// What may be.
        budget: u64,
    },
    /// A large enough buffer.
    Buffer {
        /// Bytes of the largest that is needed.
        needed: u64,
        /// Bytes that are allowed.
        limit: u64,
        /// The device.
        device: String,
    },
}

/// Another file of the same model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smaller {
    /// The file, or the first of its parts.
    pub path: PathBuf,
    /// The context that it runs with.
    pub context: u32,
}

/// Another file of the same model, on the hub. It was judged by its size: nothing of it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What to pull.
    pub name: String,
    /// Bytes to fetch.
    pub bytes: u64,
    /// The context that it should run with.
    pub context: u32,
}

impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, context) = (self.file.display(), self.context);
        match &self.shortage {
            Shortage::Memory { needs, used, budget } => {
                let [total, weights, cache, arena] =
                    [needs.total(), needs.weights, needs.cache, needs.arena].map(binary);
                let rest = binary(needs.growth + needs.step);
                write!(out, "{file} does not fit: with --ctx {context} it needs {total} of device memory ")?;
                write!(out, "({weights} of weights + {cache} of cache + {arena} of activations + {rest} besides)")?;
                if *used > 0 {
                    write!(out, ", {} are in use", binary(*used))?;
                }
                write!(out, ", and the budget is {}", binary(*budget))
            }
            Shortage::Buffer { needed, limit, device } => {
                let [needed, limit] = [*needed, *limit].map(binary);
                write!(out, "{file} does not fit: with --ctx {context} its cache needs buffers of {needed}, ")?;
                write!(out, "but {device} allows at most {limit}")
            }
        }
    }
}

impl Misfit {
    pub(super) fn hint(&self) -> String {
        let shorter = self.largest_context.map(|context| format!("use --ctx {context} or less"));
        let smaller = self.smaller.as_ref().map(|smaller| {
            let Smaller { path, context } = smaller;
            format!("use -m {}, which fits with --ctx {context}", shell_word(&path.display().to_string()))
        });
        let offered = self.offered.as_ref().map(|offered| {
            let Offered { name, bytes, context } = offered;
            let size = binary(*bytes);
            format!("fetch `ffai pull {}` ({size}), which should fit with --ctx {context}", shell_word(name))
        });
        let ways: Vec<String> = [shorter, smaller, offered].into_iter().flatten().collect();
        match ways.is_empty() {
            true => "use a smaller or more strongly quantized model, or free memory".to_owned(),
            false => ways.join(", or "),
        }
    }
}

/// A path as it can be put on a command line, and shown on a terminal.
fn shell_word(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-~".contains(c);
    match path.chars().all(plain) {
        true => path.to_owned(),
        false if path.chars().any(char::is_control) => path.escape_debug().to_string(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn misfit(largest_context: Option<u32>, smaller: Option<Smaller>, offered: Option<Offered>) -> Misfit {
        let needs = Needs { weights: 100 * MIB, cache: 40 * MIB, growth: MIB, arena: 8 * MIB, step: MIB };
        let shortage = Shortage::Memory { needs, used: 0, budget: 128 * MIB };
        Misfit { file: "m.gguf".into(), context: 4096, shortage, largest_context, smaller, offered }
    }

    #[test]
    fn the_sum_is_that_of_its_parts() {
        let expected = "m.gguf does not fit: with --ctx 4096 it needs 150.0 MiB of device memory (100.0 MiB of weights + \
                        40.0 MiB of cache + 8.0 MiB of activations + 2.0 MiB besides), and the budget is 128.0 MiB";
        assert_eq!(misfit(None, None, None).to_string(), expected);
    }

    #[test]
    fn a_way_out_is_named_where_there_is_one() {
        let smaller = Smaller { path: "my models/m.Q2_K.gguf".into(), context: 4096 };
        let file = "use -m 'my models/m.Q2_K.gguf', which fits with --ctx 4096";
        let offered = Offered { name: "org/repo:m (2)-Q4_0.gguf".to_owned(), bytes: 60 * MIB, context: 4096 };
        let pull = "fetch `ffai pull 'org/repo:m (2)-Q4_0.gguf'` (60.0 MiB), which should fit with --ctx 4096";
        assert_eq!(misfit(Some(960), None, None).hint(), "use --ctx 960 or less");
        assert_eq!(misfit(None, Some(smaller.clone()), None).hint(), file);
        assert_eq!(misfit(None, None, Some(offered.clone())).hint(), pull);
        let all = format!("use --ctx 960 or less, or {file}, or {pull}");
        assert_eq!(misfit(Some(960), Some(smaller), Some(offered)).hint(), all);
        assert!(misfit(None, None, None).hint().contains("smaller"));
    }
}
