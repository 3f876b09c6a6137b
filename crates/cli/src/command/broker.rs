//! `vltava broker`: the embedded broker as a server of its own, until a signal.

use std::{path::PathBuf, time::Duration};

use vltava::{
    Broker,
    broker::{GroupOptions, Sync},
};

use crate::{
    embedded::{self, FOLDER},
    output,
    report::Failure,
    signals::Signals,
};

/// Serve a data folder as a single Kafka-compatible broker
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept; made if it is not there
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    data: PathBuf,
    /// Where to listen; may be given several times, port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    listen: Vec<String>,
    /// What clients are told to connect to, if not the address they came in by
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// When a write is acknowledged: always (it is synced), os (the kernel has it), or a time such as 10ms (synced once in it)
    #[arg(long, value_name = "WHEN", default_value = "always", value_parser = sync)]
    sync: Sync,
    /// Refuse topics that were not created
    #[arg(long)]
    no_auto_create_topics: bool,
    /// A property of Kafka's brokers about groups; may be given several times: -X group.max.size=100
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    property: Vec<String>,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut builder =
        Broker::open(&args.data).sync(args.sync).auto_create_topics(!args.no_auto_create_topics);
    for address in &args.listen {
        builder = builder.listen(address);
    }
    builder = builder.groups(groups(&args.property)?);
    if let Some(address) = &args.advertise {
        builder = builder.advertise(address);
    }
    let broker = builder.start().await.map_err(vltava::Error::from)?;
    embedded::write_address(&args.data, &broker)?;
    for address in broker.addresses() {
        output::write(&format!("listening on {address}\n"))?;
    }
    signals.next().await;
    signals.unless_again(embedded::shutdown(&args.data, broker)).await
}

/// How groups are kept, by what was said of them.
fn groups(properties: &[String]) -> Result<GroupOptions, Failure> {
    let mut options = GroupOptions::default();
    for property in properties {
        let (name, value) = property
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("-X {property}: write a name and a value: name=value")))?;
        options.set(name, value).map_err(|error| Failure::usage(format!("-X {property}: {error}")))?;
    }
    Ok(options)
}

fn sync(text: &str) -> Result<Sync, String> {
    match text {
        "always" => Ok(Sync::Always),
        "os" => Ok(Sync::Os),
        interval => milliseconds(interval)
            .map(Sync::Interval)
            .ok_or_else(|| "write always, os, or a time of at least 1ms: 10ms, 1s".to_owned()),
    }
}

fn milliseconds(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s')?, 1_000),
    };
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_millis(number.checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_sync_is_always_os_or_a_time() {
        let millis = |number| Ok(Sync::Interval(Duration::from_millis(number)));
        assert_eq!(sync("always"), Ok(Sync::Always));
        assert_eq!(sync("os"), Ok(Sync::Os));
        assert_eq!(sync("10ms"), millis(10));
        assert_eq!(sync("2s"), millis(2_000));
        for wrong in ["", "never", "10", "ms", "0ms", "-1s", "99999999999999999999s"] {
            assert!(sync(wrong).is_err(), "{wrong:?}");
        }
    }
}
