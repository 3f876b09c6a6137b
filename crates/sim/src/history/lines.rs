//! A history as JSON lines: the same for the same events, byte for byte.

use std::{
    fmt, io,
    io::{BufRead, Write},
    str::FromStr,
};

use super::Event;

/// Everything that happened, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// What happened.
    pub events: Vec<Event>,
}

impl History {
    /// Writes it down, a line for each event.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        for event in &self.events {
            serde_json::to_writer(&mut *to, event)?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Reads what was written. A last line without an end was cut off with whoever wrote it, and is left out.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let (mut history, mut line) = (Self::default(), String::new());
        while from.read_line(&mut line)? > 0 && line.ends_with('\n') {
            if !line.trim().is_empty() {
                let event = serde_json::from_str(&line).map_err(|error| wrong(&history, &error))?;
                history.events.push(event);
            }
            line.clear();
        }
        Ok(history)
    }
}

fn wrong(before: &History, error: &serde_json::Error) -> io::Error {
    let what = format!("event {} of the history: {error}", before.events.len());
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        self.write(&mut lines).map_err(|_| fmt::Error)?;
        f.write_str(&String::from_utf8_lossy(&lines))
    }
}

impl FromStr for History {
    type Err = io::Error;

    fn from_str(lines: &str) -> io::Result<Self> {
        Self::read(&mut lines.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of every kind, as they look.
    const LINES: &str = r#"{"at":0,"type":"play","workload":"cuts","seed":18446744073709551615,"slack":1000}
{"at":1,"type":"producer","client":"p0","acks":"all","idempotent":true,"timeout":120000000}
{"at":1,"type":"consumer","client":"c0"}
{"at":1,"type":"consumer","client":"m0","group":"audit"}
{"at":2,"type":"invoke","op":0,"client":"p0","call":"send","value":"p0:0","topic":"the-orders"}
{"at":2,"type":"invoke","op":1,"client":"p0","call":"send","value":"p0:1","topic":"the-orders","partition":3}
{"at":3,"type":"invoke","op":2,"client":"p0","call":"flush"}
{"at":3,"type":"invoke","op":3,"client":"p0","call":"purge"}
{"at":3,"type":"invoke","op":4,"client":"p0","call":"shutdown","within":5}
{"at":3,"type":"invoke","op":5,"client":"m0","call":"commit","partition":"the-orders-3","offset":1}
{"at":4,"type":"ok","op":0,"partition":"the-orders-3","offset":17}
{"at":4,"type":"ok","op":2}
{"at":4,"type":"fail","op":1,"error":"too large"}
{"at":4,"type":"info","op":5,"error":"timed out"}
{"at":5,"type":"assigned","client":"c0","assignment":0,"partition":"the-orders-3","start":{"at":17}}
{"at":5,"type":"assigned","client":"m0","assignment":1,"partition":"the-orders-3","start":"earliest"}
{"at":6,"type":"poll","client":"c0","assignment":0,"partition":"the-orders-3","next":18,"records":[[17,"p0:0"]]}
{"at":6,"type":"poll_failed","client":"c0","error":"corrupt"}
{"at":7,"type":"seek","client":"c0","partition":"the-orders-3","start":"latest"}
{"at":7,"type":"pause","client":"c0","partition":"the-orders-3"}
{"at":7,"type":"resume","client":"c0","partition":"the-orders-3"}
{"at":8,"type":"jump","client":"c0","partition":"the-orders-3","from":18,"to":16,"cause":"truncated"}
{"at":8,"type":"jump","client":"c0","partition":"the-orders-3","to":0,"cause":"out_of_range"}
{"at":8,"type":"end_reached","client":"c0","partition":"the-orders-3","offset":18}
{"at":8,"type":"stalled","client":"c0","partition":"the-orders-3","since":30000000,"stall":"no leader"}
{"at":8,"type":"revoked","client":"m0","assignment":1,"partition":"the-orders-3"}
{"at":9,"type":"committed","group":"audit","partition":"the-orders-3","offset":1,"asked":8}
{"at":9,"type":"crashed","client":"m0"}
{"at":9,"type":"fault","fault":"power_loss","node":1}
{"at":9,"type":"fault","fault":"cut"}
{"at":9,"type":"fault","fault":"leader_moved","partition":"the-orders-3","to":2}
{"at":9,"type":"removed","partition":"the-orders-3","from":0,"to":5,"why":"delete_records"}
{"at":9,"type":"removed","partition":"the-orders-3","from":17,"why":"election"}
{"at":10,"type":"calm","within":60000000}
{"at":11,"type":"drained","audience":"audit"}
{"at":11,"type":"log","partition":"the-orders-3","start":0,"end":18,"records":[[17,"p0:0"]]}
{"at":12,"type":"gauge","of":"p0","gauge":"buffered bytes","value":5,"most":10}
{"at":12,"type":"gauge","of":"runtime","gauge":"tasks","value":5}
{"at":12,"type":"closed"}
"#;

    #[test]
    fn what_was_read_is_written_as_it_was() {
        let history: History = LINES.parse().expect("these are lines of a history");
        assert_eq!(history.to_string(), LINES);
        assert_eq!(history.events.len(), LINES.lines().count());
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let cut = &LINES[..LINES.len() - 2];
        let history: History = cut.parse().expect("the rest is whole");
        assert_eq!(history.events.len(), LINES.lines().count() - 1);
    }

    #[test]
    fn a_line_that_is_none_is_an_error_that_says_which() {
        for broken in [r#"{"at":0,"type":"moon"}"#, r#"{"at":0,"type":"crashed"}"#, "17", r#"{"at":"#] {
            let error = format!("{LINES}{broken}\n").parse::<History>().expect_err("that is no event");
            assert!(error.to_string().starts_with("event 39 of the history: "), "{error}");
        }
        let unnamed = r#"{"at":0,"type":"pause","client":"c0","partition":"orders"}"#.to_owned() + "\n";
        let error = unnamed.parse::<History>().expect_err("that is no partition");
        assert!(error.to_string().contains("names no partition"), "{error}");
    }
}
