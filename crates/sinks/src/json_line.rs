//! An output as one line of JSON: `topic`, `partition`, `offset`, `timestamp`, `key`, `value`, `headers`.
//!
//! A value that is JSON stands as it is, one that is UTF-8 as a string; what is neither stands in base64, under
//! `value_base64`. Keys and headers alike. A tombstone has the value null.

use base64::{Engine, engine::general_purpose::STANDARD};
use vltava_flow::{Format, Output};

/// Adds the line, its end included.
pub(crate) fn append(line: &mut Vec<u8>, output: &Output) {
    let record = output.record();
    line.extend_from_slice(b"{\"topic\":");
    string(line, record.topic());
    let (partition, offset, timestamp) = (record.partition(), record.offset(), record.timestamp());
    let numbers = format!(",\"partition\":{partition},\"offset\":{offset},\"timestamp\":{timestamp},");
    line.extend_from_slice(numbers.as_bytes());
    field(line, "key", record.key());
    line.push(b',');
    match output.value() {
        Some(json) if output.format() == Format::Json => {
            line.extend_from_slice(b"\"value\":");
            on_one_line(line, json);
        }
        value => field(line, "value", value),
    }
    line.extend_from_slice(b",\"headers\":[");
    for (index, (name, value)) in record.headers().enumerate() {
        line.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        field(line, "name", Some(name));
        line.push(b',');
        field(line, "value", value);
        line.push(b'}');
    }
    line.extend_from_slice(b"]}\n");
}

/// Adds JSON without its line breaks, which can only stand between its tokens.
pub(crate) fn on_one_line(line: &mut Vec<u8>, json: &[u8]) {
    line.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
}

fn field(line: &mut Vec<u8>, name: &str, bytes: Option<&[u8]>) {
    let text = bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes));
    let suffix = if matches!(text, Some(Err(_))) { "_base64" } else { "" };
    line.extend_from_slice(format!("\"{name}{suffix}\":").as_bytes());
    match text {
        None => line.extend_from_slice(b"null"),
        Some(Ok(text)) => string(line, text),
        Some(Err(bytes)) => string(line, &STANDARD.encode(bytes)),
    }
}

fn string(line: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(line, text).expect("a string is written to memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, output};

    fn check(sample: Sample<'_>, format: Format, expected: &str) {
        let mut line = Vec::new();
        append(&mut line, &output(sample, format));
        assert_eq!(String::from_utf8(line).unwrap().trim_end_matches('\n'), expected);
    }

    #[test]
    fn a_line_says_where_the_record_was_and_what_it_is() {
        check(
            Sample {
                offset: 7,
                key: Some(b"AAPL"),
                value: Some(b"{\"a\":\n1}"),
                headers: &[("h", Some(b"x"))],
            },
            Format::Json,
            r#"{"topic":"trades","partition":3,"offset":7,"timestamp":1700000000000,"key":"AAPL","value":{"a": 1},"headers":[{"name":"h","value":"x"}]}"#,
        );
        check(
            Sample { offset: 8, key: None, value: Some(b"say \"hi\"\n"), headers: &[] },
            Format::Text,
            r#"{"topic":"trades","partition":3,"offset":8,"timestamp":1700000000000,"key":null,"value":"say \"hi\"\n","headers":[]}"#,
        );
        check(
            Sample {
                offset: 9,
                key: Some(b"\xff"),
                value: Some(b"\x00\xff"),
                headers: &[("a", None), ("a", Some(b"\xfe"))],
            },
            Format::Bytes,
            r#"{"topic":"trades","partition":3,"offset":9,"timestamp":1700000000000,"key_base64":"/w==","value_base64":"AP8=","headers":[{"name":"a","value":null},{"name":"a","value_base64":"/g=="}]}"#,
        );
        check(
            Sample { offset: 10, key: Some(b""), value: None, headers: &[] },
            Format::Json,
            r#"{"topic":"trades","partition":3,"offset":10,"timestamp":1700000000000,"key":"","value":null,"headers":[]}"#,
        );
    }

    #[test]
    fn every_line_is_one_json_document() {
        let bytes: Vec<u8> = (0..=255).collect();
        let sample = Sample { offset: 0, key: Some(&bytes), value: Some(&bytes), headers: &[] };
        let mut line = Vec::new();
        append(&mut line, &output(sample, Format::Bytes));
        assert_eq!(line.iter().filter(|it| **it == b'\n').count(), 1);
        assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok());
    }
}
