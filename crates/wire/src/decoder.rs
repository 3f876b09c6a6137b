//! Where a message is read from: a frame that a peer sent, of which nothing is believed.
//!
//! What decoding allocates is charged to an allowance, element by element as they come, so a lying count costs
//! nothing. The allowance is a fixed number of bytes, or is drawn from a [`Budget`](crate::Budget) as it is needed.

use bytes::Bytes;

use crate::{
    budget::{OverLimit, Permit},
    decode_error::{DecodeError, DecodeErrorKind},
    version::Version,
};

/// Drawn from a budget at once, so that most values cost a subtraction only.
const DRAW_BYTES: usize = 4 << 10;

/// What [`OverLimit`] calls an allowance that is a fixed number.
const MESSAGE_BYTES: &str = "memory for a message";

/// What decoding a message may allocate, besides byte strings: those refer to the frame.
#[derive(Debug)]
pub struct Allowance {
    /// Granted and not yet charged.
    left: usize,
    granted: usize,
    /// Where more comes from.
    permit: Option<Permit>,
}

impl From<usize> for Allowance {
    /// So many bytes and no more.
    fn from(bytes: usize) -> Self {
        Self { left: bytes, granted: bytes, permit: None }
    }
}

impl From<Permit> for Allowance {
    /// What the permit holds, and more of its budget as far as there is.
    fn from(permit: Permit) -> Self {
        Self { left: permit.bytes(), granted: permit.bytes(), permit: Some(permit) }
    }
}

impl Allowance {
    #[cold]
    fn draw(&mut self, bytes: usize) -> Result<(), OverLimit> {
        let charged = self.granted - self.left;
        let over =
            OverLimit { limit: MESSAGE_BYTES, max: self.granted, asked: charged.saturating_add(bytes) };
        let permit = self.permit.as_mut().ok_or(over)?;
        let missing = bytes - self.left;
        let much = missing.max(DRAW_BYTES);
        let drawn = match permit.grow(much) {
            Ok(()) => much,
            Err(_) => permit.grow(missing).map(|()| missing)?,
        };
        self.granted += drawn;
        self.left = self.left + drawn - bytes;
        Ok(())
    }

    /// The permit, of which no more is held than was charged.
    fn settle(self) -> Option<Permit> {
        let mut permit = self.permit?;
        permit.shrink_to(self.granted - self.left);
        Some(permit)
    }
}

/// Reads a frame from its start to its end.
#[derive(Debug)]
pub struct Decoder {
    frame: Bytes,
    at: usize,
    end: usize,
    version: Version,
    allowance: Allowance,
}

impl Decoder {
    /// A reader of `frame` that may allocate so much for what it decodes: a number of bytes, or a permit and its
    /// budget.
    pub fn new(frame: Bytes, version: Version, allowance: impl Into<Allowance>) -> Self {
        let end = frame.len();
        Self { frame, at: 0, end, version, allowance: allowance.into() }
    }

    /// Ends reading. If the allowance was a permit, it comes back with no more than was charged, to be held for as
    /// long as what was decoded.
    pub fn into_permit(self) -> Option<Permit> {
        self.allowance.settle()
    }

    /// The version the frame is read in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Goes on in another version: a header and its body may differ.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// How many bytes have not been read.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Takes the next bytes, of which no copy is made.
    pub fn take(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        self.need(length)?;
        let bytes = self.frame.slice(self.at..self.at + length);
        self.at += length;
        Ok(bytes)
    }

    /// Takes the next bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.need(N)?;
        let bytes = self.frame[self.at..self.at + N].try_into().expect("the slice has N bytes");
        self.at += N;
        Ok(bytes)
    }

    /// Takes text, which is charged to the budget.
    pub fn text(&mut self, length: usize) -> Result<String, DecodeError> {
        self.need(length)?;
        self.charge(length)?;
        let text = std::str::from_utf8(&self.frame[self.at..self.at + length])
            .map_err(|_| self.error(DecodeErrorKind::NotUtf8))?;
        let text = text.to_owned();
        self.at += length;
        Ok(text)
    }

    /// Takes an unsigned variable-length integer.
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::VarintTooLong))
    }

    /// Takes note of an allocation.
    #[inline]
    pub fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        match self.allowance.left.checked_sub(bytes) {
            Some(left) => self.allowance.left = left,
            None => {
                self.allowance.draw(bytes).map_err(|over| self.error(DecodeErrorKind::OverBudget(over)))?;
            }
        }
        Ok(())
    }

    /// Takes back a charge for what was let go again.
    pub fn refund(&mut self, bytes: usize) {
        self.allowance.left += bytes;
    }

    /// Asserts that a count or a length is within a named limit.
    pub fn limit(&self, limit: &'static str, max: usize, asked: usize) -> Result<(), DecodeError> {
        OverLimit::check(limit, max, asked).map_err(|over| self.error(DecodeErrorKind::OverLimit(over)))
    }

    /// Reads a part of known length, all of it.
    pub fn within<T>(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.need(length)?;
        let outer = std::mem::replace(&mut self.end, self.at + length);
        let value = read(self)?;
        self.finish()?;
        self.end = outer;
        Ok(value)
    }

    /// Asserts that everything was read.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.at < self.end {
            return Err(self.error(DecodeErrorKind::TrailingBytes));
        }
        Ok(())
    }

    /// An error at this place.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.at)
    }

    fn need(&self, length: usize) -> Result<(), DecodeError> {
        if self.remaining() < length {
            return Err(self.error(DecodeErrorKind::Truncated));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{budget::Budget, primitive::Wire};

    fn decoder(frame: &'static [u8], flexible: bool, budget: usize) -> Decoder {
        Decoder::new(Bytes::from_static(frame), Version { number: 0, flexible }, budget)
    }

    fn refused<T: Wire + std::fmt::Debug>(frame: &'static [u8], flexible: bool) -> DecodeErrorKind {
        T::decode(&mut decoder(frame, flexible, 1_000)).expect_err("the bytes are bad").kind()
    }

    #[test]
    fn lengths_are_not_believed() {
        assert_eq!(refused::<String>(&[0, 9, b'a'], false), DecodeErrorKind::Truncated);
        assert_eq!(refused::<String>(&[0xff, 0xfe], false), DecodeErrorKind::NegativeLength(-2));
        assert_eq!(refused::<String>(&[0xff, 0xff], false), DecodeErrorKind::UnexpectedNull);
        assert_eq!(refused::<String>(&[0x00], true), DecodeErrorKind::UnexpectedNull);
        assert_eq!(refused::<Bytes>(&[0x7f, 0xff, 0xff, 0xff], false), DecodeErrorKind::Truncated);
        assert_eq!(refused::<Vec<i64>>(&[0, 0x1f, 0xff, 0xff, 1], false), DecodeErrorKind::Truncated);
        assert_eq!(refused::<String>(&[2, 0xff], true), DecodeErrorKind::NotUtf8);
    }

    #[test]
    fn a_varint_ends_within_32_bits() {
        assert_eq!(decoder(&[0xff, 0xff, 0xff, 0xff, 0x0f], true, 0).varint(), Ok(u32::MAX));
        let too_long = decoder(&[0xff, 0xff, 0xff, 0xff, 0x10], true, 0).varint().expect_err("33 bits");
        assert_eq!(too_long.kind(), DecodeErrorKind::VarintTooLong);
        let cut = decoder(&[0xff], true, 0).varint().expect_err("it goes on");
        assert_eq!(cut.kind(), DecodeErrorKind::Truncated);
    }

    #[test]
    fn what_is_allocated_is_paid_for_and_bytes_are_not() {
        let mut input = decoder(&[4, b'a', b'b', b'c'], true, 3);
        assert_eq!(String::decode(&mut input).as_deref(), Ok("abc"));
        let over = String::decode(&mut decoder(&[4, b'a', b'b', b'c'], true, 2)).expect_err("it costs 3");
        let limit = OverLimit { limit: MESSAGE_BYTES, max: 2, asked: 3 };
        assert_eq!(over.kind(), DecodeErrorKind::OverBudget(limit));
        let mut input = decoder(&[4, b'a', b'b', b'c'], true, 0);
        assert_eq!(Bytes::decode(&mut input).as_deref(), Ok(&b"abc"[..]));
        let over = Vec::<i8>::decode(&mut decoder(&[4, 1, 2, 3], true, 2)).expect_err("it costs 3");
        assert_eq!(over.kind(), DecodeErrorKind::OverBudget(limit));
    }

    #[test]
    fn a_permit_is_drawn_on_and_comes_back_with_what_was_charged() {
        let budget = Budget::new("the test's bytes", DRAW_BYTES + 10);
        let permit = budget.take(1).expect("there is one");
        let mut input = Decoder::new(Bytes::new(), Version { number: 0, flexible: true }, permit);
        input.charge(1).expect("it is held");
        assert_eq!(budget.used(), 1);
        input.charge(1).expect("it is drawn");
        assert_eq!(budget.used(), 1 + DRAW_BYTES);
        input.charge(DRAW_BYTES + 8).expect("the last that is there");
        assert_eq!(budget.used(), DRAW_BYTES + 10);
        let over = input.charge(1).expect_err("there is no more").kind();
        let limit = OverLimit { limit: "the test's bytes", max: DRAW_BYTES + 10, asked: DRAW_BYTES + 11 };
        assert_eq!(over, DecodeErrorKind::OverBudget(limit));
        input.refund(DRAW_BYTES);
        let permit = input.into_permit().expect("it was handed in");
        assert_eq!((permit.bytes(), budget.used()), (10, 10));
        drop(permit);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_part_is_read_to_its_end_and_no_further() {
        let mut input = decoder(&[1, 2, 3], true, 0);
        let less = input.within(2, |part| part.array::<1>()).expect_err("a byte is left");
        assert_eq!(less.kind(), DecodeErrorKind::TrailingBytes);
        let mut input = decoder(&[1, 2, 3], true, 0);
        let more = input.within(2, |part| part.array::<3>()).expect_err("the part has two bytes");
        assert_eq!(more.kind(), DecodeErrorKind::Truncated);
    }
}
