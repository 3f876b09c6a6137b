//! The flights that left New York in 2013, as records: key is the aircraft, value a JSON object that numbers the row.

#![allow(dead_code, unreachable_pub, reason = "every test file uses another part of it")]

use std::collections::BTreeMap;

/// A row of the table, as far as the lanes look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    pub row: u64,
    pub aircraft: String,
    pub carrier: String,
    pub distance: u64,
}

/// The table that `VLTAVA_FLIGHTS` names.
pub fn flights() -> Vec<Flight> {
    let path =
        std::env::var("VLTAVA_FLIGHTS").expect("VLTAVA_FLIGHTS names the CSV file; .ci/run fetches it");
    let text = std::fs::read_to_string(&path).expect("the table can be read");
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().expect("a header").split(',').collect();
    let column = |name| header.iter().position(|it| *it == name).expect("the table has the column");
    let (aircraft, carrier, distance) = (column("tailnum"), column("carrier"), column("distance"));
    let flight = |(row, line): (usize, &str)| {
        let cells: Vec<_> = line.split(',').collect();
        Flight {
            row: row as u64,
            aircraft: if cells[aircraft].is_empty() { "unknown" } else { cells[aircraft] }.to_owned(),
            carrier: cells[carrier].to_owned(),
            distance: cells[distance].parse().expect("a distance is a number"),
        }
    };
    let flights: Vec<_> = lines.enumerate().map(flight).collect();
    assert_eq!(flights.len(), 336_776, "the table is whole");
    flights
}

/// Lines for `vltava produce -f '%k\t%v\n'`.
pub fn lines(flights: &[Flight]) -> Vec<u8> {
    let mut text = String::new();
    for Flight { row, aircraft, carrier, distance } in flights {
        text += &format!("{aircraft}\t{{\"row\":{row},\"carrier\":\"{carrier}\",\"distance\":{distance}}}\n");
    }
    text.into_bytes()
}

/// What a sink got of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub partition: i64,
    pub offset: i64,
    pub key: String,
    pub row: u64,
    pub distance: u64,
}

/// The lines that the file sink wrote.
pub fn delivered(text: &str) -> Vec<Delivered> {
    text.lines().map(delivery).collect()
}

fn delivery(line: &str) -> Delivered {
    let json: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
    let number =
        |value: &serde_json::Value| value.as_i64().unwrap_or_else(|| panic!("a number is missing in {line}"));
    Delivered {
        partition: number(&json["partition"]),
        offset: number(&json["offset"]),
        key: json["key"].as_str().expect("a key is text").to_owned(),
        row: number(&json["value"]["row"]) as u64,
        distance: number(&json["value"]["distance"]) as u64,
    }
}

/// The last row of each aircraft.
pub fn last_rows(flights: &[Flight]) -> BTreeMap<&str, u64> {
    flights.iter().map(|it| (it.aircraft.as_str(), it.row)).collect()
}
