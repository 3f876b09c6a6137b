//! Batches as others wrote them, in `golden`: each is read to what Kafka's own classes read in it.
//!
//! `NAME.batch` are the bytes, `NAME.txt` says in words what they hold. Batches named `java-…` were built by Kafka 4.3's
//! classes, which also wrote all the words; `librdkafka-…` were produced by librdkafka and fetched from our broker. All
//! of them are made again by
//!
//! ```console
//! $ cargo run -p vltava-interop --example golden
//! ```

use std::{fmt::Write as _, fs, path::Path};

use vltava_wire::record::{
    Batch, ControlMarker, Limits, RecordErrorKind, RecordRef, Records, TimestampType, batches,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// What is read, in the words that Java tells it in.
#[derive(Default)]
struct Words(String);

impl Words {
    fn file(&mut self, bytes: Vec<u8>) {
        for batch in batches(bytes.into()) {
            match batch {
                Ok(batch) => self.batch(batch),
                Err(error) => match error.kind {
                    RecordErrorKind::UnsupportedMagic(magic) => self.line(&format!("magic {magic}")),
                    _ => self.line(&error.to_string()),
                },
            }
        }
    }

    fn batch(&mut self, batch: Batch) {
        batch.check_crc().expect("the bytes are those that were written");
        let times = match batch.timestamp_type() {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        };
        let header = *batch.header();
        self.line("magic 2");
        self.line(&format!("offsets {} to {}", header.base_offset, header.last_offset()));
        self.line(&format!("leader epoch {}", header.leader_epoch));
        self.line(&format!("crc {}", header.crc));
        self.line(&format!("compression {}", header.compression()));
        self.line(&format!("transactional {}", header.is_transactional()));
        self.line(&format!("control {}", header.is_control()));
        let (id, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
        self.line(&format!("producer {id} epoch {epoch} sequence {sequence}"));
        self.line(&format!("{times} {} up to {}", header.base_timestamp, header.max_timestamp));
        self.line(&format!("records {}", header.count));
        self.records(&batch.decompress(Limits::default()).expect("its records are sound"));
    }

    /// Borrowed and owned, which are the same.
    fn records(&mut self, records: &Records) {
        assert_eq!(records.owned().count(), records.len());
        for (borrowed, owned) in records.iter().zip(records.owned()) {
            let line = record(borrowed, records.header().is_control());
            assert_eq!(record(owned.as_ref(), records.header().is_control()), line);
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        writeln!(self.0, "{line}").expect("a string takes everything");
    }
}

fn record(record: RecordRef<'_>, control: bool) -> String {
    let (key, value) = (part(record.key()), part(record.value()));
    let mut line = format!("{} at {} key {key} value {value}", record.offset(), record.timestamp());
    if control {
        let marker = ControlMarker::of(record).expect("it is a marker");
        line += &format!(" marker {marker:?}").to_lowercase();
    }
    for (name, value) in record.headers() {
        line += &format!(" header {}={}", part(Some(name)), part(value));
    }
    line
}

/// Bytes as digits in brackets; of many the number and the last.
fn part(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "none".to_owned(),
        Some([.., last]) if bytes.is_some_and(|bytes| bytes.len() > 1_000) => {
            format!("[{} bytes up to {last:02x}]", bytes.unwrap_or_default().len())
        }
        Some(bytes) => format!("[{}]", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

fn read(path: &Path) -> String {
    let mut words = Words::default();
    words.file(fs::read(path).expect("the file can be read"));
    words.0
}

#[test]
fn every_golden_batch_is_read_as_java_reads_it() {
    let mut names = Vec::new();
    for file in fs::read_dir(FOLDER).expect("the folder is there") {
        let path = file.expect("the folder can be read").path();
        if path.extension().is_some_and(|it| it == "batch") {
            let expected =
                fs::read_to_string(path.with_extension("txt")).expect("words lie beside each batch");
            // What is older than ours is refused as a whole, by its first message.
            let expected = match expected.starts_with("magic 2") {
                true => expected,
                false => expected.lines().take(1).map(|line| format!("{line}\n")).collect(),
            };
            assert_eq!(read(&path), expected, "{}", path.display());
            names.push(path.file_stem().expect("a file has a name").to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    assert_eq!(names, GOLDEN);
}

/// Every batch there is, so that none is forgotten.
const GOLDEN: &[&str] = &[
    "java-abort",
    "java-commit",
    "java-compacted",
    "java-emptied",
    "java-gzip",
    "java-log-append-time",
    "java-lz4",
    "java-none",
    "java-snappy",
    "java-v0",
    "java-v1",
    "java-zstd",
    "librdkafka-gzip",
    "librdkafka-lz4",
    "librdkafka-none",
    "librdkafka-snappy",
    "librdkafka-zstd",
];

#[test]
fn the_message_sets_of_old_are_refused_by_what_they_are() {
    for (name, magic) in [("java-v0", 0), ("java-v1", 1)] {
        let bytes = fs::read(Path::new(FOLDER).join(name).with_extension("batch")).expect("it is there");
        let refused = batches(bytes.into()).next().expect("something is there").expect_err("it is old");
        assert_eq!(refused.kind, RecordErrorKind::UnsupportedMagic(magic));
        let said = format!("message format v{magic} is not supported, only v2 (Kafka 0.11 and later)");
        assert_eq!(refused.to_string(), said);
    }
}
