//! Metadata values: thirteen types, of which arrays nest.

use std::fmt;

use super::Error;
use super::cursor::Cursor;
use crate::weights::error::Quoted;

/// Arrays of arrays of arrays of arrays are the deepest that are read. No known model nests them at
/// all; the bound keeps a hostile file from exhausting the stack.
const DEEPEST: u32 = 4;

/// A key, an empty array or an empty string is never smaller than its length field.
const LENGTH_FIELD: u64 = 8;
/// An array inside an array is at least its element type and its length.
const ARRAY_FIELDS: u64 = 4 + LENGTH_FIELD;

/// Reads a fixed-size element from exactly as many bytes as it has.
trait Fixed: Sized {
    const BYTES: usize;
    fn read(bytes: &[u8]) -> Self;
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! fixed {
    ($($type:ty)*) => {$(
        impl Fixed for $type {
            const BYTES: usize = size_of::<Self>();
            fn read(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(bytes);
                Self::from_le_bytes(array)
            }
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }
    )*};
}
fixed!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

macro_rules! values {
    ($($variant:ident($type:ty) = $number:literal, $name:literal;)*) => {
        /// One metadata value.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Value {
            $(
                #[doc = concat!("GGUF type ", $number, ", `", $name, "`.")]
                $variant($type),
            )*
            /// GGUF type 7: a byte that is 0 or 1.
            Bool(bool),
            /// GGUF type 8: UTF-8 of any length.
            String(String),
            /// GGUF type 9: any number of values of one type.
            Array(Array),
        }

        /// An array, stored with its elements' own type: vocabularies have 262144 of them.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Array {
            $(
                #[doc = concat!("Elements of GGUF type ", $number, ", `", $name, "`.")]
                $variant(Vec<$type>),
            )*
            /// Elements that are 0 or 1.
            Bool(Vec<bool>),
            /// Strings, such as the tokens of a vocabulary.
            String(Vec<String>),
            /// Arrays, each with a type of its own.
            Array(Vec<Array>),
        }

        impl Value {
            /// Reads a value whose type field has been read already.
            pub(super) fn read(
                from: &mut Cursor<'_>,
                number: u32,
                key: &str,
            ) -> Result<Self, Error> {
                let what = Quoted(key);
                Ok(match number {
                    $($number => {
                        let count = <$type>::BYTES as u64;
                        let bytes = from.take(count, format_args!("value of {what}"))?;
                        Self::$variant(<$type>::read(bytes))
                    })*
                    7 => Self::Bool(bools(from, 1, key)?[0]),
                    8 => Self::String(from.string(format_args!("value of {what}"))?.to_owned()),
                    9 => Self::Array(Array::read(from, key, 1)?),
                    _ => return Err(unknown(from, number, key)),
                })
            }

            /// The number of its type.
            pub(super) fn number(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => $number,)*
                    Self::Bool(_) => 7,
                    Self::String(_) => 8,
                    Self::Array(_) => 9,
                }
            }

            /// Appends the value as a file has it, behind the number of its type.
            pub(super) fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(value) => value.write(out),)*
                    Self::Bool(value) => out.push(u8::from(*value)),
                    Self::String(value) => super::layout::text(out, value),
                    Self::Array(array) => array.write(out),
                }
            }

            /// The type's name as it stands in listings, such as `u32`.
            pub fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                    Self::Bool(_) => "bool",
                    Self::String(_) => "string",
                    Self::Array(_) => "array",
                }
            }
        }

        impl Array {
            fn read(from: &mut Cursor<'_>, key: &str, depth: u32) -> Result<Self, Error> {
                let (at, what) = (from.at(), Quoted(key));
                if depth > DEEPEST {
                    let expected = format!("arrays at most {DEEPEST} deep");
                    return Err(from.malformed(at, what, expected, "one more"));
                }
                let number = from.u32(format_args!("element type of {what}"))?;
                let mut count = |least| from.count(least, format_args!("length of array {what}"));
                Ok(match number {
                    $($number => {
                        // Cannot overflow: `count` has checked that the product fits the file.
                        let size = <$type>::BYTES;
                        let bytes = count(size as u64)? * size as u64;
                        let bytes = from.take(bytes, format_args!("elements of {what}"))?;
                        Self::$variant(bytes.chunks_exact(size).map(<$type>::read).collect())
                    })*
                    7 => {
                        let count = count(1)?;
                        Self::Bool(bools(from, count, key)?)
                    }
                    8 => {
                        let count = count(LENGTH_FIELD)?;
                        Self::String(strings(from, count, key)?)
                    }
                    9 => {
                        // Grown as elements arrive, here and for strings: an element in memory is
                        // larger than the least one in the file, so the count alone proves little.
                        let mut arrays = Vec::new();
                        for _ in 0..count(ARRAY_FIELDS)? {
                            arrays.push(Self::read(from, key, depth + 1)?);
                        }
                        Self::Array(arrays)
                    }
                    _ => return Err(unknown(from, number, key)),
                })
            }

            /// Appends the type of the elements, their number, and the elements.
            fn write(&self, out: &mut Vec<u8>) {
                let number: u32 = match self {
                    $(Self::$variant(_) => $number,)*
                    Self::Bool(_) => 7,
                    Self::String(_) => 8,
                    Self::Array(_) => 9,
                };
                out.extend(number.to_le_bytes());
                out.extend((self.len() as u64).to_le_bytes());
                match self {
                    $(Self::$variant(elements) => elements.iter().for_each(|element| element.write(out)),)*
                    Self::Bool(elements) => out.extend(elements.iter().map(|&element| u8::from(element))),
                    Self::String(elements) => elements.iter().for_each(|element| super::layout::text(out, element)),
                    Self::Array(elements) => elements.iter().for_each(|element| element.write(out)),
                }
            }

            /// The number of elements; those of nested arrays are not added up.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(elements) => elements.len(),)*
                    Self::Bool(elements) => elements.len(),
                    Self::String(elements) => elements.len(),
                    Self::Array(elements) => elements.len(),
                }
            }

            /// The elements' type as it stands in listings, such as `f32`.
            pub fn element_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                    Self::Bool(_) => "bool",
                    Self::String(_) => "string",
                    Self::Array(_) => "array",
                }
            }
        }

        impl fmt::Display for Value {
            /// Scalars and strings in full; of an array, its length and its elements' type.
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(value) => value.fmt(out),)*
                    Self::Bool(value) => value.fmt(out),
                    Self::String(value) => value.fmt(out),
                    Self::Array(value) => {
                        write!(out, "[{} × {}]", value.len(), value.element_name())
                    }
                }
            }
        }
    };
}

values! {
    U8(u8) = 0, "u8";
    I8(i8) = 1, "i8";
    U16(u16) = 2, "u16";
    I16(i16) = 3, "i16";
    U32(u32) = 4, "u32";
    I32(i32) = 5, "i32";
    F32(f32) = 6, "f32";
    U64(u64) = 10, "u64";
    I64(i64) = 11, "i64";
    F64(f64) = 12, "f64";
}

impl Array {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Value {
    /// The value as a whole number, if its type is one; every GGUF integer fits.
    pub(super) fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(value) => value.into(),
            Self::I8(value) => value.into(),
            Self::U16(value) => value.into(),
            Self::I16(value) => value.into(),
            Self::U32(value) => value.into(),
            Self::I32(value) => value.into(),
            Self::U64(value) => value.into(),
            Self::I64(value) => value.into(),
            _ => return None,
        })
    }
}

fn bools(from: &mut Cursor<'_>, count: u64, key: &str) -> Result<Vec<bool>, Error> {
    let (at, what) = (from.at(), Quoted(key));
    let bytes = from.take(count, format_args!("value of {what}"))?;
    match bytes.iter().position(|byte| *byte > 1) {
        Some(bad) => Err(from.malformed(at + bad as u64, what, "a bool, 0 or 1", bytes[bad])),
        None => Ok(bytes.iter().map(|byte| *byte == 1).collect()),
    }
}

fn strings(from: &mut Cursor<'_>, count: u64, key: &str) -> Result<Vec<String>, Error> {
    let mut strings = Vec::new();
    for index in 0..count {
        let text = from.string(format_args!("element {index} of {}", Quoted(key)))?;
        strings.push(text.to_owned());
    }
    Ok(strings)
}

/// The type number has just been read, so it lies four bytes back.
fn unknown(from: &Cursor<'_>, number: u32, key: &str) -> Error {
    let what = format!("value type of {}", Quoted(key));
    from.malformed(from.at() - 4, what, "a GGUF type, 0 to 12", number)
}
