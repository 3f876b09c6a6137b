//! Times as people write and read them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo, civil::DateTime, tz::TimeZone};
use vltava::client::Timestamp;

/// A time span: `90s`, `1h30m`, `7d`. A day has 24 hours.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no span of time: write 90s, 1h30m or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

/// A point in time: `2026-01-31T14:00:00Z`, or without a zone where the user is: `2026-01-31 14:00`.
pub(crate) fn timestamp(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is no point in time: write 2026-01-31T14:00:00Z or 2026-01-31 14:00");
    if let Ok(exact) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(exact.as_millisecond()));
    }
    let local: DateTime = text.parse().map_err(|_| wrong())?;
    let zoned = local.to_zoned(TimeZone::system()).map_err(|_| wrong())?;
    Ok(Timestamp(zoned.timestamp().as_millisecond()))
}

/// A span of time in the unit that suits it.
pub(crate) fn rounded(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", span.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read_with_their_units() {
        for (text, seconds) in [("90s", 90), ("1h30m", 5_400), ("7d", 604_800), ("2 hours", 7_200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "90", "-5s", "soon", "1 month"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn points_in_time_are_read_with_and_without_a_zone() {
        assert_eq!(timestamp("1970-01-02T00:00:00Z"), Ok(Timestamp(86_400_000)));
        assert_eq!(timestamp("1970-01-02T02:00:00+02:00"), Ok(Timestamp(86_400_000)));
        let day = |text| timestamp(text).expect("a time").0;
        assert_eq!(day("2026-01-31 14:00") - day("2026-01-31"), 14 * 3_600_000);
        for wrong in ["", "yesterday", "2026-13-01", "4711"] {
            assert!(timestamp(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_span_is_shown_in_one_unit() {
        let shown = [300, 41_000, 300_000, 7_200_000, 864_000_000].map(Duration::from_millis).map(rounded);
        assert_eq!(shown, ["0.3 s", "41 s", "5 min", "2 h", "10 d"]);
    }
}
