//! The primitive types of the protocol and how each is laid out on the wire.

use bytes::Bytes;

use crate::{
    decoder::{DecodeError, DecodeErrorKind, Decoder},
    encoder::{EncodeError, EncodeErrorKind, Encoder},
    version::Version,
};

/// A value with one wire layout per protocol version.
pub trait Wire: Sized {
    /// Writes the value.
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError>;

    /// Reads a value in the decoder's version.
    fn decode(input: &mut Decoder) -> Result<Self, DecodeError>;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Wire for $number {
            fn encode(&self, out: &mut Encoder, _: Version) -> Result<(), EncodeError> {
                out.put(&self.to_be_bytes());
                Ok(())
            }

            fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
                input.array().map(Self::from_be_bytes)
            }
        }
    )*};
}
numbers! { i8 i16 u16 i32 u32 i64 f64 }

impl Wire for bool {
    fn encode(&self, out: &mut Encoder, _: Version) -> Result<(), EncodeError> {
        out.put(&[u8::from(*self)]);
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        let [byte] = input.array()?;
        Ok(byte != 0)
    }
}

/// A topic id (KIP-516), or any other 128-bit name. The zero id stands for none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub u128);

impl Uuid {
    /// The id that stands for none.
    pub const ZERO: Self = Self(0);
}

impl std::fmt::Display for Uuid {
    /// As Kafka writes it: URL-safe base64 without padding.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for group in 0..21 {
            let bits = self.0 >> (122 - 6 * group) & 0x3f;
            write!(f, "{}", char::from(ALPHABET[bits as usize]))?;
        }
        write!(f, "{}", char::from(ALPHABET[(self.0 as usize & 0x03) << 4]))
    }
}

impl std::fmt::Debug for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Wire for Uuid {
    fn encode(&self, out: &mut Encoder, _: Version) -> Result<(), EncodeError> {
        out.put(&self.0.to_be_bytes());
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        input.array().map(|bytes| Self(u128::from_be_bytes(bytes)))
    }
}

/// Writes text that is not owned.
pub(crate) fn put_text(out: &mut Encoder, text: Option<&str>, version: Version) -> Result<(), EncodeError> {
    put_length(out, text.map(str::len), Prefix::Short, version)?;
    out.put(text.unwrap_or_default().as_bytes());
    Ok(())
}

impl Wire for Option<String> {
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError> {
        put_text(out, self.as_deref(), version)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        length(input, Prefix::Short)?.map(|length| input.text(length)).transpose()
    }
}

impl Wire for String {
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError> {
        put_text(out, Some(self), version)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        present(input)
    }
}

impl Wire for Option<Bytes> {
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError> {
        put_length(out, self.as_ref().map(Bytes::len), Prefix::Int, version)?;
        if let Some(bytes) = self {
            out.put_shared(bytes);
        }
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        length(input, Prefix::Int)?.map(|length| input.take(length)).transpose()
    }
}

impl Wire for Bytes {
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError> {
        put_length(out, Some(self.len()), Prefix::Int, version)?;
        out.put_shared(self);
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        present(input)
    }
}

impl<T: Wire> Wire for Option<Vec<T>> {
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError> {
        put_length(out, self.as_ref().map(Vec::len), Prefix::Int, version)?;
        self.iter().flatten().try_for_each(|item| item.encode(out, version))
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        let Some(count) = length(input, Prefix::Int)? else { return Ok(None) };
        let mut items = Vec::new();
        for _ in 0..count {
            input.charge(size_of::<T>())?;
            items.push(T::decode(input)?);
        }
        Ok(Some(items))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError> {
        put_length(out, Some(self.len()), Prefix::Int, version)?;
        self.iter().try_for_each(|item| item.encode(out, version))
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        present(input)
    }
}

/// Reads a value that must not be null.
fn present<T>(input: &mut Decoder) -> Result<T, DecodeError>
where
    Option<T>: Wire,
{
    let value = Option::decode(input)?;
    value.ok_or_else(|| input.error(DecodeErrorKind::UnexpectedNull))
}

/// The width of a length prefix in a version that is not flexible.
enum Prefix {
    Short,
    Int,
}

fn put_length(
    out: &mut Encoder,
    length: Option<usize>,
    prefix: Prefix,
    version: Version,
) -> Result<(), EncodeError> {
    let too_long = |_| EncodeError { field: "", version: version.number, kind: EncodeErrorKind::TooLong };
    let length = length.map(i32::try_from).transpose().map_err(too_long)?.unwrap_or(-1);
    match (version.flexible, prefix) {
        (true, _) => out.put_varint((length as u32).wrapping_add(1)),
        (false, Prefix::Short) => out.put(&i16::try_from(length).map_err(too_long)?.to_be_bytes()),
        (false, Prefix::Int) => out.put(&length.to_be_bytes()),
    }
    Ok(())
}

fn length(input: &mut Decoder, prefix: Prefix) -> Result<Option<usize>, DecodeError> {
    let length = match (input.version().flexible, prefix) {
        (true, _) => i64::from(input.varint()?) - 1,
        (false, Prefix::Short) => i64::from(i16::decode(input)?),
        (false, Prefix::Int) => i64::from(i32::decode(input)?),
    };
    match length {
        -1 => Ok(None),
        0.. => Ok(Some(length as usize)),
        _ => Err(input.error(DecodeErrorKind::NegativeLength(length))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_printed_as_kafka_prints_it() {
        // Uuid.METADATA_TOPIC_ID, and one made up of every digit, as Java writes them.
        assert_eq!(Uuid(1).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210).to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
    }

    #[test]
    fn text_longer_than_its_length_prefix_is_an_error() {
        let text = "t".repeat(i16::MAX as usize + 1);
        let version = |flexible| Version { number: 0, flexible };
        let refused = text.encode(&mut Encoder::default(), version(false)).expect_err("32 KiB");
        assert_eq!(refused.kind, EncodeErrorKind::TooLong);
        assert_eq!(text.encode(&mut Encoder::default(), version(true)), Ok(()));
    }
}
