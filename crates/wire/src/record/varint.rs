//! Signed variable-length integers as records use them: zigzag, seven bits a byte, low bits first.

/// Bytes that a 64-bit value may take at most.
pub(super) const BYTES_MAX: usize = 10;

#[inline]
pub(super) fn size(value: i64) -> usize {
    (zigzag(value) | 1).ilog2() as usize / 7 + 1
}

/// Appends `value`.
#[inline]
pub(super) fn put(value: i64, out: &mut Vec<u8>) {
    let mut left = zigzag(value);
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// Reads a 32-bit value at `at`, and says where it ends. `None` where the bytes end or the value does not fit.
#[inline(always)]
pub(super) fn int(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    match short(bytes, at)? {
        (value, Some(end)) => Some((unzigzag(value) as i32, end)),
        (_, None) => rest(bytes, at).and_then(|(value, end)| Some((i32::try_from(value).ok()?, end))),
    }
}

/// Reads a length at `at`, and says where it ends: a 32-bit value that below zero means that there is nothing.
#[inline(always)]
pub(super) fn length(bytes: &[u8], at: usize) -> Option<(Option<u32>, usize)> {
    match short(bytes, at)? {
        (value, Some(end)) => Some(((value & 1 == 0).then_some(value as u32 >> 1), end)),
        (_, None) => int(bytes, at).map(|(value, end)| (u32::try_from(value).ok(), end)),
    }
}

/// Reads a 64-bit value at `at`, and says where it ends. `None` where the bytes end or the value does not fit.
#[inline(always)]
pub(super) fn long(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    match short(bytes, at)? {
        (value, Some(end)) => Some((unzigzag(value), end)),
        (_, None) => rest(bytes, at),
    }
}

/// A value of one or two bytes, which nearly all are, and where it ends.
#[inline(always)]
fn short(bytes: &[u8], at: usize) -> Option<(u64, Option<usize>)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((u64::from(first), Some(at + 1)));
    }
    let second = *bytes.get(at + 1)?;
    let value = u64::from(first & 0x7f) | u64::from(second) << 7;
    Some((value, (second < 0x80).then_some(at + 2)))
}

/// A value of any length.
#[inline(never)]
fn rest(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut value = 0;
    for place in 0..BYTES_MAX {
        let byte = *bytes.get(at + place)?;
        if place == BYTES_MAX - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((unzigzag(value), at + place + 1));
        }
    }
    None
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[inline(always)]
fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put(value, &mut out);
        out
    }

    #[test]
    fn the_known_values() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            assert_eq!(written(value), bytes, "{value}");
        }
    }

    #[test]
    fn a_value_that_is_too_large_or_does_not_end_is_none() {
        let too_large = written(i64::from(i32::MAX) + 1);
        assert_eq!(int(&too_large, 0), None);
        assert_eq!(long(&[0xff; 10], 0), None);
        assert_eq!(long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], 0), None);
        assert_eq!(int(&[0x80], 0), None);
        assert_eq!(int(&[], 0), None);
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back(value in prop_oneof![any::<i64>(), -9_000..9_000i64]) {
            let bytes = written(value);
            prop_assert_eq!(long(&bytes, 0), Some((value, bytes.len())));
            prop_assert_eq!(size(value), bytes.len());
            let narrow = i32::try_from(value).ok();
            prop_assert_eq!(int(&bytes, 0), narrow.map(|value| (value, bytes.len())));
            prop_assert_eq!(length(&bytes, 0), narrow.map(|value| (u32::try_from(value).ok(), bytes.len())));
        }
    }
}
