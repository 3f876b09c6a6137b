//! Taking a batch apart that a broker did not take as a whole: in halves if it is too large, or into the records that
//! were rejected and those between them.

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    record::{Batch, BatchBuilder, Limits, RecordError, RecordRef, RecordSlices, Records},
};

use super::{
    outcome::Reason,
    verdict::{Answer, Rejection, Verdict},
};

/// Records of a batch that go on together.
#[derive(Debug)]
pub(super) struct Part {
    /// Its first record's place in the batch.
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) fate: Fate,
}

#[derive(Debug)]
pub(super) enum Fate {
    Goes(BatchBuilder),
    Fails(Reason),
}

/// The parts of a batch that was answered so; none if it is to be taken for what it is.
pub(super) fn divide(packed: &Bytes, answer: &Answer) -> Option<Vec<Part>> {
    // It is our own, so it is what it should be.
    let count = Batch::parse(packed.clone()).ok()?.count as u32;
    match Verdict::from(answer.error) {
        Verdict::TooLarge if count == 1 => {
            let reason = Reason::TooLarge { bytes: packed.len(), message: answer.message.clone() };
            Some(vec![Part { first: 0, count, fate: Fate::Fails(reason) }])
        }
        Verdict::TooLarge => halves(&open(packed).ok()?).ok(),
        Verdict::Refused { unwritten: true } if answer.rejected.iter().any(|it| it.index < count) => {
            without(&open(packed).ok()?, answer.error, &answer.rejected).ok()
        }
        _ => None,
    }
}

fn open(packed: &Bytes) -> Result<Records, RecordError> {
    // What was packed here has no need of limits.
    let limits = Limits { bytes_max: usize::MAX, ratio_max: usize::MAX, records_max: usize::MAX };
    Batch::parse(packed.clone())?.decompress(limits)
}

/// Two parts, of about as many bytes each.
fn halves(records: &Records) -> Result<Vec<Part>, RecordError> {
    let last = records.len() - 1;
    let half = records.iter().map(bytes).sum::<usize>() / 2;
    let (mut first, mut second) = (Gathering::default(), None);
    let mut taken = 0;
    for (index, record) in records.iter().enumerate() {
        if index > 0 && (taken >= half || index == last) {
            second.get_or_insert_with(|| Gathering::from(index as u32));
        }
        taken += bytes(record);
        second.as_mut().unwrap_or(&mut first).take(record)?;
    }
    Ok([Some(first), second].into_iter().flatten().filter_map(Gathering::done).collect())
}

/// About how long a record is: what matters of its names and numbers is that they are never nothing.
fn bytes(record: RecordRef<'_>) -> usize {
    let value = |it: Option<&[u8]>| it.map_or(0, <[u8]>::len);
    let headers = record.headers().map(|it| it.0.len() + value(it.1));
    8 + value(record.key()) + value(record.value()) + headers.sum::<usize>()
}

/// Each rejected record by itself, and what is between them.
fn without(records: &Records, error: ErrorCode, rejected: &[Rejection]) -> Result<Vec<Part>, RecordError> {
    let (mut parts, mut gathering) = (Vec::new(), Gathering::default());
    for (index, record) in (0..).zip(records) {
        let Some(rejection) = rejected.iter().find(|it| it.index == index) else {
            gathering.take(record)?;
            continue;
        };
        parts.extend(std::mem::replace(&mut gathering, Gathering::from(index + 1)).done());
        let reason = Reason::Refused(error, rejection.message.clone());
        parts.push(Part { first: index, count: 1, fate: Fate::Fails(reason) });
    }
    parts.extend(gathering.done());
    Ok(parts)
}

/// A part in the making.
#[derive(Default)]
struct Gathering {
    first: u32,
    builder: BatchBuilder,
}

impl Gathering {
    fn from(first: u32) -> Self {
        Self { first, builder: BatchBuilder::new() }
    }

    fn take(&mut self, record: RecordRef<'_>) -> Result<(), RecordError> {
        let headers: Vec<_> = record.headers().collect();
        let slices = RecordSlices {
            timestamp: record.timestamp(),
            key: record.key(),
            value: record.value(),
            headers: &headers,
        };
        self.builder.append(slices).map(|_| ())
    }

    fn done(self) -> Option<Part> {
        let Self { first, builder } = self;
        (!builder.is_empty()).then(|| Part { first, count: builder.count(), fate: Fate::Goes(builder) })
    }
}

#[cfg(test)]
mod tests {
    use vltava_wire::{Compression, record::Stamp};

    use super::*;

    /// A packed batch of records with values of so many bytes.
    fn batch(values: &[usize]) -> Bytes {
        let mut builder = BatchBuilder::new();
        for (index, bytes) in values.iter().enumerate() {
            let (key, value) = ([index as u8], vec![b'v'; *bytes]);
            let headers = [("name", Some(b"value"))];
            let timestamp = 1_000 + index as i64;
            let record = RecordSlices { timestamp, key: Some(&key), value: Some(&value), headers: &headers };
            builder.append(record).expect("it is a record");
        }
        builder.finish(Stamp::NONE, Compression::Lz4).expect("it is a batch")
    }

    /// First place, count, and whether it fails.
    fn shape(parts: &[Part]) -> Vec<(u32, u32, bool)> {
        parts.iter().map(|it| (it.first, it.count, matches!(it.fate, Fate::Fails(_)))).collect()
    }

    fn too_large() -> Answer {
        Answer::refused(ErrorCode::MessageTooLarge)
    }

    fn rejected(indexes: &[u32]) -> Answer {
        let rejection = |index: &u32| Rejection { index: *index, message: Some(format!("no {index}")) };
        let rejected = indexes.iter().map(rejection).collect();
        Answer { rejected, ..Answer::refused(ErrorCode::InvalidRecord) }
    }

    #[test]
    fn what_is_too_large_goes_in_halves_of_its_bytes() {
        for (values, first, second) in [
            (&[100, 100, 100, 100][..], 2, 2),
            (&[1_000, 10, 10, 10], 1, 3),
            (&[10, 10, 10, 1_000], 3, 1),
            (&[10, 1_000], 1, 1),
        ] {
            let parts = divide(&batch(values), &too_large()).expect("it has parts");
            assert_eq!(shape(&parts), [(0, first, false), (first, second, false)], "{values:?}");
        }
    }

    #[test]
    fn one_record_that_is_too_large_fails_with_its_size() {
        let packed = batch(&[100]);
        let parts = divide(&packed, &too_large()).expect("it has a part");
        let [Part { first: 0, count: 1, fate: Fate::Fails(reason) }] = &parts[..] else {
            panic!("{parts:?}")
        };
        assert_eq!(*reason, Reason::TooLarge { bytes: packed.len(), message: None });
    }

    #[test]
    fn rejected_records_leave_what_is_between_them() {
        let packed = batch(&[10; 6]);
        for (indexes, expected) in [
            (&[2][..], &[(0, 2, false), (2, 1, true), (3, 3, false)][..]),
            (&[0, 5], &[(0, 1, true), (1, 4, false), (5, 1, true)]),
            (&[4, 3, 99], &[(0, 3, false), (3, 1, true), (4, 1, true), (5, 1, false)]),
        ] {
            let parts = divide(&packed, &rejected(indexes)).expect("it has parts");
            assert_eq!(shape(&parts), expected, "{indexes:?}");
        }
    }

    #[test]
    fn a_broker_that_names_no_record_refuses_the_whole() {
        assert!(divide(&batch(&[10; 3]), &rejected(&[])).is_none());
        assert!(divide(&batch(&[10; 3]), &rejected(&[3])).is_none());
        assert!(divide(&batch(&[10; 3]), &Answer::refused(ErrorCode::NotEnoughReplicas)).is_none());
    }

    #[test]
    fn records_stay_what_they_are() {
        let whole = open(&batch(&[10, 20, 30])).expect("it is sound");
        let mut found = Vec::new();
        for part in halves(&whole).expect("it has parts") {
            let Fate::Goes(builder) = part.fate else { panic!("it is sent") };
            let packed = builder.finish(Stamp::NONE, Compression::None).expect("it is a batch");
            let records = open(&packed).expect("it is sound");
            let it = |it: RecordRef<'_>| {
                (
                    it.timestamp(),
                    it.key().map(<[u8]>::to_vec),
                    it.value().map(<[u8]>::len),
                    it.headers().count(),
                )
            };
            found.extend(records.iter().map(it));
        }
        let expected = |n: u8| (1_000 + i64::from(n), Some(vec![n]), Some(10 * (usize::from(n) + 1)), 1);
        assert_eq!(found, [0, 1, 2].map(expected));
    }
}
