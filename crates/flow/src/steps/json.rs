//! jq's values as strict JSON: jq knows a few more values than JSON does.

use jaq_json::{Num, Val};

use crate::Failure;

/// Writes a value on one line. Numbers that are none become null, as in jq.
///
/// # Errors
/// If it holds bytes that are no text, or an object's key that is no string.
pub(super) fn write(value: &Val) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    append(value, &mut out)?;
    Ok(out)
}

fn append(value: &Val, out: &mut Vec<u8>) -> Result<(), Failure> {
    match value {
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
                append(item, out)?;
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
                append(item, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn number(number: &Num, out: &mut Vec<u8>) {
    let text = number.to_string();
    let strict =
        matches!(number, Num::Int(_)) || serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    out.extend_from_slice(if strict { text.as_bytes() } else { b"null" });
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    serde_json::to_writer(out, text.as_ref()).expect("a string is written to memory");
}
