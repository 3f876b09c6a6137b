//! `vltava produce`: records from stdin into a topic.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::Arc,
    time::Instant,
};

use tokio::sync::mpsc;
use vltava::{
    Codec, Producer, ProducerRecord, RecordMetadata, Timestamp,
    client::{self, Delivery},
};

use crate::{
    brokers::Brokers,
    format::Format,
    output::count,
    report::Failure,
    scan::{ScanError, Scanned, Scanner},
    signals::Signals,
};

/// Bytes asked of stdin at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that are read ahead.
const PIECES_MAX: usize = 2;
/// Records whose acknowledgement is waited for; beyond it the oldest is waited for first.
const UNSETTLED_MAX: usize = 1 << 18;

/// Send what comes on stdin, a record a line
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// How a record looks: %k key, %v value, %p partition, %d timestamp; the last text ends it
    #[arg(short, long, default_value = "%v\\n", value_parser = str::parse::<Format>)]
    format: Format,
    /// What stands between key and value; short for -f '%kDELIM%v\n'
    #[arg(short = 'K', long, value_name = "DELIM", conflicts_with = "format")]
    key_delimiter: Option<String>,
    /// One key for all records
    #[arg(short, long)]
    key: Option<String>,
    /// One partition for all records
    #[arg(short, long)]
    partition: Option<i32>,
    /// A header for all records; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Make records of an empty value tombstones
    #[arg(short = 'Z', long)]
    tombstone: bool,
    /// How batches are compressed: none, gzip, snappy, lz4, zstd; a level goes after it, as in zstd:7
    #[arg(short = 'z', long, value_name = "CODEC[:LEVEL]", default_value = "none")]
    compression: Codec,
    /// Say nothing about what was done
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    brokers: Brokers,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let format = match &args.key_delimiter {
        Some(delimiter) => Format::key_value_lines(delimiter.as_bytes()),
        None => args.format.clone(),
    };
    let scanner = Scanner::new(&format).map_err(|error| Failure::usage(format!("-f: {error}")))?;
    let signals = Signals::listen()?;
    let cluster = args.brokers.connect().await?;
    let producer = Producer::builder(&cluster.client).compression(args.compression).build();
    let producer = producer.map_err(vltava::Error::from)?;
    let mut sending = Sending {
        args: &args,
        topic: args.topic.as_str().into(),
        producer,
        unsettled: VecDeque::new(),
        settled: 0,
    };
    let sent = sending.all(scanner, signals).await;
    sent.and(cluster.close().await)
}

/// Records on their way.
struct Sending<'a> {
    args: &'a Args,
    topic: Arc<str>,
    producer: Producer,
    /// In the order they were sent, which is that of their acknowledgements in each partition.
    unsettled: VecDeque<Delivery>,
    settled: u64,
}

impl Sending<'_> {
    /// Sends everything there is on stdin. A signal ends the input, a second one is not waited for. What comes before
    /// a mistake in the input is stored nevertheless.
    async fn all(&mut self, scanner: Scanner, mut signals: Signals) -> Result<(), Failure> {
        let started = Instant::now();
        let mistake = self.feed(scanner, &mut signals).await?;
        signals.unless_again(self.settle(0)).await?;
        if let Some(mistake) = mistake {
            return Err(mistake.note(format!("the {} records before it are stored", count(self.settled))));
        }
        self.summary(started);
        Ok(())
    }

    /// Sends records until the input ends, or makes a mistake, which is returned.
    async fn feed(
        &mut self,
        mut scanner: Scanner,
        signals: &mut Signals,
    ) -> Result<Option<Failure>, Failure> {
        let mut pieces = stdin();
        loop {
            let piece = tokio::select! {
                biased;
                () = signals.next() => return Ok(None),
                settled = oldest(&mut self.unsettled) => {
                    self.settled(settled)?;
                    continue;
                }
                piece = pieces.recv() => piece.transpose()?,
            };
            let is_last = piece.is_none();
            scanner.push(&piece.unwrap_or_default());
            loop {
                let scanned = if is_last { scanner.last() } else { scanner.next() };
                match scanned {
                    Ok(Some(record)) => self.send(&record).await?,
                    Ok(None) if is_last => return Ok(None),
                    Ok(None) => break,
                    Err(error) => return Ok(Some(unreadable(error))),
                }
            }
        }
    }

    async fn send(&mut self, scanned: &Scanned<'_>) -> Result<(), Failure> {
        self.settle(UNSETTLED_MAX).await?;
        let delivery = self.producer.send(self.record(scanned)).await.map_err(vltava::Error::from)?;
        self.unsettled.push_back(delivery);
        Ok(())
    }

    fn record(&self, scanned: &Scanned<'_>) -> ProducerRecord {
        let mut record = ProducerRecord::to(self.topic.clone());
        if let Some(key) = self.args.key.as_ref().map(String::as_bytes).or(scanned.key) {
            record = record.key(key);
        }
        if let Some(value) = scanned.value.filter(|value| !(self.args.tombstone && value.is_empty())) {
            record = record.value(value);
        }
        if let Some(partition) = scanned.partition.or(self.args.partition) {
            record = record.partition(partition);
        }
        if let Some(timestamp) = scanned.timestamp {
            record = record.timestamp(Timestamp(timestamp));
        }
        for (name, value) in &self.args.headers {
            record = record.header(name, value);
        }
        record
    }

    /// Waits until no more than so many are unsettled.
    async fn settle(&mut self, unsettled_max: usize) -> Result<(), Failure> {
        while self.unsettled.len() > unsettled_max {
            let settled = oldest(&mut self.unsettled).await;
            self.settled(settled)?;
        }
        Ok(())
    }

    fn settled(&mut self, settled: client::Result<RecordMetadata>) -> Result<(), Failure> {
        let record = self.settled + 1;
        settled.map_err(|error| {
            Failure::from(vltava::Error::from(error))
                .note(format!("it is record {record} of the input; those before it are stored"))
        })?;
        self.settled = record;
        Ok(())
    }

    fn summary(&self, started: Instant) {
        if !self.args.quiet {
            let seconds = started.elapsed().as_secs_f64();
            eprintln!("{} records in {seconds:.1} s, all acknowledged", count(self.settled));
        }
    }
}

/// The outcome of the oldest record; never, if there is none. Cancel-safe.
async fn oldest(unsettled: &mut VecDeque<Delivery>) -> client::Result<RecordMetadata> {
    let Some(delivery) = unsettled.front_mut() else { return std::future::pending().await };
    let settled = delivery.await;
    unsettled.pop_front();
    settled
}

/// What comes on stdin, piece by piece, read on a thread of its own: a read cannot be interrupted.
fn stdin() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match stdin.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(piece)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if pieces.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    received
}

fn unreadable(error: ScanError) -> Failure {
    Failure::new(error.to_string()).fix("say with -f how a record looks, for example -f '%k\\t%v\\n'")
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_the_rest() {
        assert_eq!(header("trace=a=b"), Ok(("trace".into(), "a=b".into())));
        assert_eq!(header("empty="), Ok(("empty".into(), String::new())));
        assert!(header("alone").is_err());
    }
}
