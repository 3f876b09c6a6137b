//! The primitive types of the protocol and how each is laid out on the wire.

use bytes::Bytes;

use crate::{
    decode_error::{DecodeError, DecodeErrorKind},
    decoder::Decoder,
    encoder::{EncodeError, EncodeErrorKind, Encoder},
    limits::{ARRAY_ELEMENTS_MAX, STRING_BYTES_MAX},
    version::Version,
};

/// Room that an array starts with, if it declares as many elements.
const FIRST_ELEMENTS: usize = 4;

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
        let Some(length) = length(input, Prefix::Short)? else { return Ok(None) };
        input.limit("bytes of text", STRING_BYTES_MAX, length)?;
        input.text(length).map(Some)
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
        input.limit("elements of an array", ARRAY_ELEMENTS_MAX, count)?;
        let mut items = Vec::new();
        for index in 0..count {
            if items.len() == items.capacity() {
                grow(&mut items, count, input)?;
            }
            items.push(T::decode(input).map_err(|error| error.in_element(index))?);
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

/// Makes room for more elements, twice as many as have come and no more than were declared, and pays for it. Old and
/// new place exist side by side while the elements move.
fn grow<T>(items: &mut Vec<T>, declared: usize, input: &mut Decoder) -> Result<(), DecodeError> {
    let room = (items.len() * 2).max(FIRST_ELEMENTS).min(declared);
    let before = items.capacity() * size_of::<T>();
    input.charge(room * size_of::<T>())?;
    items.reserve_exact(room - items.len());
    input.refund(before);
    Ok(())
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
    // Text keeps to two bytes of length in flexible versions too, or Kafka would refuse it.
    let short =
        matches!(prefix, Prefix::Short).then(|| i16::try_from(length)).transpose().map_err(too_long)?;
    match (version.flexible, short) {
        (true, _) => out.put_varint((length as u32).wrapping_add(1)),
        (false, Some(short)) => out.put(&short.to_be_bytes()),
        (false, None) => out.put(&length.to_be_bytes()),
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
        for flexible in [false, true] {
            let version = Version { number: 0, flexible };
            let refused = text.encode(&mut Encoder::default(), version).expect_err("32 KiB");
            assert_eq!(refused.kind, EncodeErrorKind::TooLong);
            assert_eq!(text[1..].to_owned().encode(&mut Encoder::default(), version), Ok(()));
        }
    }

    #[test]
    fn what_an_array_takes_while_it_grows_is_paid_for() {
        let decoded = |count: u8, budget: usize| {
            let frame: Vec<u8> = std::iter::once(count + 1).chain(0..count).collect();
            Vec::<i8>::decode(&mut Decoder::new(frame.into(), Version { number: 0, flexible: true }, budget))
        };
        // As many as declared; then 4 and 8 and 9, each beside the one before.
        for (count, peak) in [(3, 3), (9, 8 + 9), (8, 4 + 8)] {
            assert_eq!(decoded(count, peak).map(|items| items.capacity()), Ok(usize::from(count)));
            let over = decoded(count, peak - 1).expect_err("a byte is missing");
            assert!(matches!(over.kind(), DecodeErrorKind::OverBudget(_)), "{over}");
        }
    }

    #[test]
    fn counts_and_lengths_beyond_their_limits_are_refused_at_once() {
        let refused = |frame: Vec<u8>, read: fn(&mut Decoder) -> DecodeError| {
            read(&mut Decoder::new(frame.into(), Version { number: 0, flexible: true }, 1 << 20)).to_string()
        };
        let text = [&[0x81, 0x80, 0x02][..], &[b'x'; 0x8000]].concat();
        let text = refused(text, |input| String::decode(input).expect_err("32 KiB"));
        assert_eq!(text, "bytes of text would be 32768, the limit is 32767, at byte 3");
        let array =
            refused(vec![0x82, 0x80, 0x80, 0x01], |input| Vec::<i8>::decode(input).expect_err("2^21"));
        assert_eq!(array, "elements of an array would be 2097153, the limit is 2097152, at byte 4");
    }
}
