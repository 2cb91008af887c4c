//! Values of options: what they may be, and what is said when they are not.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Most tokens of a sequence; `None` leaves it to the model. (clap reads a bare `Option` as an option that may be absent.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context(pub(crate) Option<u32>);

/// `auto` or a count.
pub(crate) fn context(text: &str) -> Result<Context, String> {
    if text == "auto" {
        return Ok(Context(None));
    }
    match text.parse() {
        Ok(count) if count > 0 => Ok(Context(Some(count))),
        _ => Err("expected `auto` or a number of tokens, at least 1".to_owned()),
    }
}

/// A count of tokens, at least one.
pub(crate) fn tokens(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("expected a number of tokens, at least 1".to_owned()),
    }
}

/// A real number; what range it may have is checked with the other sampling options.
pub(crate) fn number(text: &str) -> Result<f32, String> {
    text.parse().map_err(|_| "expected a number".to_owned())
}

/// A whole number.
pub(crate) fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", size_limit::<T>()))
}

fn size_limit<T>() -> u128 {
    (1 << (size_of::<T>() * 8)) - 1
}

/// A stop string.
pub(crate) fn stop(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected at least one character".to_owned()) } else { Ok(text.to_owned()) }
}

/// Bits of a weight; `None` leaves it unquantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(pub(crate) Option<u32>);

/// `none` or a number of bits; which numbers there are is checked with the other options.
pub(crate) fn bits(text: &str) -> Result<Bits, String> {
    match text {
        "none" => Ok(Bits(None)),
        text => {
            text.parse().map(|bits| Bits(Some(bits))).map_err(|_| "expected a number of bits, or `none`".to_owned())
        }
    }
}

/// `attention=6`.
pub(crate) fn role(text: &str) -> Result<(String, Bits), String> {
    let (role, bits) = text.split_once('=').ok_or("expected a role and its bits, such as attention=6")?;
    Ok((role.to_owned(), self::bits(bits)?))
}

/// A number of bytes: `2GiB`, `512M`, `1.5 GB`. KiB, MiB and GiB (and K, M, G) are powers of 1024; KB, MB and GB of 1000.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let expected = || "expected a size such as 2GiB, 512MiB or a number of bytes, above 0".to_owned();
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1_048_576.0,
        "g" | "gib" => 1_073_741_824.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return Err(expected()),
    };
    let bytes = number.parse::<f64>().map_err(|_| expected())? * scale;
    if (1.0..1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(expected()) }
}

/// A seed that no two runs share by chance.
pub(crate) fn seed_from_clock() -> u64 {
    // A clock before 1970 is as good a seed as any.
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Few digits, so that people can type it again.
    (elapsed.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_bits() {
        assert_eq!(role("attention=6"), Ok(("attention".to_owned(), Bits(Some(6)))));
        assert_eq!(role("mlp=none"), Ok(("mlp".to_owned(), Bits(None))));
        for bad in ["", "attention", "attention=", "attention=six", "attention=-1"] {
            assert!(role(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert_eq!(bytes("512m"), Ok(512 << 20));
        assert_eq!(bytes("1.5 GB"), Ok(1_500_000_000));
        assert_eq!(bytes("1000"), Ok(1000));
        for bad in ["", "0", "GiB", "-1", "1.2.3", "2 elephants", "1e99", "nan"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
