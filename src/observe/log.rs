//! Which subsystems log: `--debug`, `FFAI_DEBUG` and `FFAI_DEBUG_<SUBSYSTEM>`.
//!
//! Logging itself is `tracing`'s: events under the target `ffai::<subsystem>`, for any subscriber and for `RUST_LOG`.

/// What logs.
pub const SUBSYSTEMS: [&str; 8] = ["loader", "load", "generate", "sampling", "kvcache", "kernels", "dispatch", "bench"];

/// Which subsystems are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gates([bool; SUBSYSTEMS.len()]);

/// A variable that names no subsystem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} opens no log: there is no subsystem of that name")]
pub struct GateError {
    /// The variable.
    pub variable: String,
}

impl GateError {
    /// What to do.
    pub fn hint(&self) -> String {
        let names: Vec<String> = SUBSYSTEMS.iter().map(|name| format!("FFAI_DEBUG_{}", name.to_uppercase())).collect();
        format!("FFAI_DEBUG=1 opens all of {}", names.join(", "))
    }
}

impl Gates {
    /// All of them.
    pub const ALL: Self = Self([true; SUBSYSTEMS.len()]);

    /// Those that the environment opens: `FFAI_DEBUG` all, `FFAI_DEBUG_<SUBSYSTEM>` one. `0`, `false` and nothing close it, so that
    /// a single one can be left out of all.
    ///
    /// # Errors
    /// A variable `FFAI_DEBUG_…` that names no subsystem.
    pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, GateError> {
        let (mut all, mut single) = (false, [None; SUBSYSTEMS.len()]);
        for (variable, value) in variables {
            let opens = !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "false");
            let Some(rest) = variable.strip_prefix("FFAI_DEBUG") else { continue };
            match rest.strip_prefix('_').map(|name| SUBSYSTEMS.iter().position(|s| s.eq_ignore_ascii_case(name))) {
                None if rest.is_empty() => all = opens,
                Some(Some(index)) => single[index] = Some(opens),
                _ => return Err(GateError { variable }),
            }
        }
        Ok(Self(single.map(|gate| gate.unwrap_or(all))))
    }

    /// Whether a subsystem logs.
    pub fn is_open(&self, subsystem: &str) -> bool {
        SUBSYSTEMS.iter().zip(self.0).any(|(name, open)| open && *name == subsystem)
    }

    /// Whether none logs.
    pub fn is_closed(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(variables: &[(&str, &str)]) -> Result<Gates, GateError> {
        Gates::from_environment(variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn one_variable_opens_one_subsystem_and_one_opens_all() {
        assert!(gates(&[("HOME", "/"), ("FFAI_MODEL", "1")]).unwrap().is_closed());
        assert_eq!(gates(&[("FFAI_DEBUG", "1")]).unwrap(), Gates::ALL);
        for (index, name) in SUBSYSTEMS.iter().enumerate() {
            let only = gates(&[(&format!("FFAI_DEBUG_{}", name.to_uppercase()), "yes")]).unwrap();
            for (other, subsystem) in SUBSYSTEMS.iter().enumerate() {
                assert_eq!(only.is_open(subsystem), index == other, "{name} and {subsystem}");
            }
        }
    }

    #[test]
    fn zero_false_and_nothing_close() {
        for value in ["0", "false", "FALSE", "", " "] {
            assert!(gates(&[("FFAI_DEBUG", value), ("FFAI_DEBUG_LOAD", value)]).unwrap().is_closed(), "{value:?}");
            let but_one = gates(&[("FFAI_DEBUG_KVCACHE", value), ("FFAI_DEBUG", "1")]).unwrap();
            assert!(but_one.is_open("load") && !but_one.is_open("kvcache"), "{value:?}");
        }
    }

    #[test]
    fn a_subsystem_that_does_not_exist_is_an_error() {
        let error = gates(&[("FFAI_DEBUG_CACHE", "1")]).unwrap_err();
        assert!(error.to_string().contains("FFAI_DEBUG_CACHE") && error.hint().contains("FFAI_DEBUG_KVCACHE"));
    }
}
