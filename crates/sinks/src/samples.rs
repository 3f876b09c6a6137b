//! Outputs for the tests of sinks, made by way of a batch as a broker sends it.

use vltava_client::{Compression, TopicPartition};
use vltava_flow::{Format, Output, Record};
use vltava_wire::record::{Batch, BatchBuilder, Limits, RecordSlices, Stamp};

/// What a test says of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A record of `trades-3`.
pub(crate) fn record(sample: Sample<'_>) -> Record {
    let mut builder = BatchBuilder::new();
    let mut slices = RecordSlices::new(1_700_000_000_000, sample.key, sample.value);
    slices.headers = sample.headers;
    builder.append(slices).expect("the sample fits a batch");
    let mut batch = builder.finish(Stamp::NONE, Compression::None).expect("it has a record").to_vec();
    vltava_wire::record::patch_base_offset(&mut batch, sample.offset);
    let batch = Batch::parse(batch.into()).expect("it was just built");
    let records = batch.decompress(Limits::default()).expect("it was just built");
    let record = records.owned().next().expect("it has a record");
    Record::new(TopicPartition::new("trades", 3), record)
}

/// The same as an output.
pub(crate) fn output(sample: Sample<'_>, format: Format) -> Output {
    Output::as_received(record(sample)).as_format(format)
}
