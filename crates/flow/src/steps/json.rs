//! jq's values as strict JSON: jq knows a few more values than JSON does.

use jaq_json::{Num, Val};
use serde::de::IgnoredAny;

use crate::Failure;

/// What holds JSON goes down by recursion, here and in jq; so many levels every stack has room for.
pub(super) const DEPTH_MAX: usize = 128;

/// Refuses what is no strict JSON, and what nests deeper than is safe to read.
pub(super) fn check(text: &str) -> Result<(), String> {
    if depth(text) > DEPTH_MAX {
        return Err(format!("it is more than {DEPTH_MAX} levels deep"));
    }
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|error| error.to_string())
}

/// How deep brackets nest, those in strings left out.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => (),
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => (),
        }
    }
}

/// Writes a value on one line. Numbers that are none become null, as in jq.
///
/// # Errors
/// If it holds bytes that are no text, an object's key that is no string, or too many levels.
pub(super) fn write(value: &Val) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    append(value, DEPTH_MAX, &mut out)?;
    Ok(out)
}

fn append(value: &Val, levels: usize, out: &mut Vec<u8>) -> Result<(), Failure> {
    match value {
        Val::Arr(_) | Val::Obj(_) if levels == 0 => {
            return Err(Failure::new(format!("a result is more than {DEPTH_MAX} levels deep")));
        }
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(it) => out.extend_from_slice(if *it { b"true" } else { b"false" }),
        Val::Num(it) => number(it, out),
        Val::TStr(text) => string(text, out),
        Val::BStr(_) => return Err(Failure::new("a result holds bytes, for which JSON has no value")),
        Val::Arr(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                append(item, levels - 1, out)?;
            }
            out.push(b']');
        }
        Val::Obj(entries) => {
            out.push(b'{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let Val::TStr(key) = key else {
                    return Err(Failure::new(format!(
                        "a result has the key {key}; in JSON, keys are strings"
                    )));
                };
                string(key, out);
                out.push(b':');
                append(item, levels - 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn number(number: &Num, out: &mut Vec<u8>) {
    let text = number.to_string();
    let strict = matches!(number, Num::Int(_)) || serde_json::from_str::<IgnoredAny>(&text).is_ok();
    out.extend_from_slice(if strict { text.as_bytes() } else { b"null" });
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    serde_json::to_writer(out, text.as_ref()).expect("a string is written to memory");
}
