//! Lengths of time and sizes as people write them.

use std::time::Duration;

/// `250ms`, `5s`, `1.5m`, `2h`, `7d`, or several in a row: `1m30s`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, unit, after) = term(rest)?;
        let seconds = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// `4096`, `64KiB`, `1.5MiB`, `10MB`, `1GiB`: 1,024 with an `i`, 1,000 without.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit, "") = term(text)? else { return None };
    let factor = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" | "k" | "K" => 1024.0,
        "MiB" | "M" => 1024.0 * 1024.0,
        "GiB" | "G" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * factor;
    // Beyond this a float no longer tells one byte from the next.
    (bytes <= (1u64 << 53) as f64).then_some(bytes as u64)
}

/// A number, the letters after it, and the rest.
fn term(text: &str) -> Option<(f64, &str, &str)> {
    let digits = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let letters = rest.find(|it: char| !it.is_alphabetic()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, after.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, millis) in [
            ("100ms", Some(100)),
            ("30s", Some(30_000)),
            ("1.5m", Some(90_000)),
            ("1m30s", Some(90_000)),
            ("1h 5 min", Some(3_900_000)),
            ("0s", Some(0)),
            ("7d", Some(604_800_000)),
            ("5", None),
            ("", None),
            ("s", None),
            ("5 parsecs", None),
            ("-1s", None),
            ("1e400s", None),
            ("99999999999999999999999999d", None),
        ] {
            assert_eq!(duration(text).map(|it| it.as_millis()), millis, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("8MiB", Some(8 << 20)),
            ("10 MB", Some(10_000_000)),
            ("64KiB", Some(65_536)),
            ("1.5k", Some(1_536)),
            ("7", Some(7)),
            ("7B", Some(7)),
            ("MiB", None),
            ("1MiB1", None),
            ("99999999999999999999GiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
