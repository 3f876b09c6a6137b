//! The demo's data: the flights that left New York in January 2013, and the names of their carriers.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use flate2::read::GzDecoder;
use serde::Deserialize;

/// A line a flight: the carrier's code, a tab, JSON. See `data/README.md`.
const FLIGHTS: &[u8] = include_bytes!("../../../data/flights-2013-01.tsv.gz");

/// `code,name` under a head.
const AIRLINES: &str = include_str!("../../../data/airlines.csv");

/// What the demo reads of a flight; the record has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Flight {
    /// Minutes, below zero if it was early; none if it was cancelled or diverted.
    pub(crate) arr_delay: Option<i64>,
}

/// The whole month as text, in the form that `vltava produce -f '%k\t%v\n'` reads.
pub(crate) fn lines() -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(FLIGHTS).read_to_string(&mut text)?;
    Ok(text)
}

/// The flights in order: the carrier's code and the flight as JSON.
pub(crate) fn records(lines: &str) -> impl Iterator<Item = (&str, &str)> {
    lines.lines().filter_map(|line| line.split_once('\t'))
}

/// The carriers' names by their codes.
pub(crate) fn airlines() -> BTreeMap<&'static str, &'static str> {
    AIRLINES.lines().skip(1).filter_map(|line| line.split_once(',')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_what_its_readme_says() {
        let lines = lines().expect("the data unpacks");
        assert_eq!(records(&lines).count(), 27_004);
        let without_delay = records(&lines)
            .map(|(_, json)| serde_json::from_str(json).expect("a flight"))
            .filter(|flight: &Flight| flight.arr_delay.is_none())
            .count();
        assert_eq!(without_delay, 606);
        assert!(FLIGHTS.len() < 1_000_000);
    }

    #[test]
    fn every_carrier_has_a_name() {
        let lines = lines().expect("the data unpacks");
        let names = airlines();
        assert!(records(&lines).all(|(carrier, _)| names.contains_key(carrier)));
        assert_eq!(names["UA"], "United Air Lines Inc.");
    }
}
