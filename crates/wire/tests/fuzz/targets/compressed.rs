//! What packs and unpacks the records of a batch, by itself.
//!
//! The first byte says how. With its lowest bit, the bytes behind it are packed, so often one after another as the
//! next bits say; without, they are unpacked, and the next bits say how much may come out.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use vltava_wire::{
    Compression, CompressionError, Compressor, Decompressor,
    record::{BATCH_OVERHEAD_BYTES, BatchHeader},
    sample,
};

use super::golden;

/// How much may come out.
const LIMITS: [usize; 4] = [0, 100, 64 << 10, 1 << 20];

/// Enough for inputs of a page to go over the largest block of a codec, zstd's.
const REPEATED_MAX: usize = 40;

/// Beside what comes out: what a codec needs for its tables, and for a window that it must not be denied.
const OVERHEAD: u64 = 1 << 20;

/// Whatever was sent unpacks to no more than allowed, and whatever is packed unpacks to the same.
pub(crate) fn check(kind: Compression, input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    let (is_to_pack, rest) = (how & 1 == 1, usize::from(how >> 1));
    if !is_to_pack {
        check_unpacked(kind, bytes, LIMITS[rest % LIMITS.len()]);
    } else if kind.is_available() {
        check_comes_back(kind, &bytes.repeat(rest % REPEATED_MAX + 1));
    }
}

fn check_unpacked(kind: Compression, packed: &[u8], bytes_max: usize) {
    let mut unpacked = Ok(Bytes::new());
    let mut decompressor = Decompressor::new();
    let allocated = allocation_counter::measure(|| {
        unpacked = sample::decompress(&mut decompressor, kind, packed, bytes_max);
    });
    let allowed = 3 * bytes_max as u64 + OVERHEAD;
    assert!(allocated.bytes_max <= allowed, "{} bytes were allocated", allocated.bytes_max);
    // What a stream left behind, whole or broken, is nothing to the next one.
    assert_eq!(sample::decompress(&mut decompressor, kind, packed, bytes_max), unpacked);
    match unpacked {
        Ok(unpacked) => {
            assert!(unpacked.len() <= bytes_max, "{} bytes came out", unpacked.len());
            check_limit(&mut decompressor, kind, packed, &unpacked);
            check_with_another(kind, packed, &unpacked);
        }
        Err(CompressionError::TooLarge { bytes_max: said }) => assert_eq!(said, bytes_max),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A limit is met to the byte.
fn check_limit(decompressor: &mut Decompressor, kind: Compression, packed: &[u8], unpacked: &[u8]) {
    assert_eq!(sample::decompress(decompressor, kind, packed, unpacked.len()).as_deref(), Ok(unpacked));
    if let Some(bytes_max) = unpacked.len().checked_sub(1) {
        let refused = sample::decompress(decompressor, kind, packed, bytes_max);
        assert_eq!(refused, Err(CompressionError::TooLarge { bytes_max }));
    }
}

/// Another implementation that reads the stream reads the same; it may refuse what we take.
fn check_with_another(kind: Compression, packed: &[u8], unpacked: &[u8]) {
    let mut other = Vec::new();
    let read = match kind {
        Compression::Gzip => MultiGzDecoder::new(packed).read_to_end(&mut other).is_ok(),
        // It reads the first frame alone, and none that is to be skipped.
        Compression::Zstd => StreamingDecoder::new(packed)
            .is_ok_and(|mut it| it.read_to_end(&mut other).is_ok() && it.into_inner().is_empty()),
        _ => false,
    };
    assert!(!read || other == unpacked, "{} bytes for one, {} for another", unpacked.len(), other.len());
}

fn check_comes_back(kind: Compression, bytes: &[u8]) {
    let mut compressor = Compressor::new(kind);
    let packed = sample::compress(&mut compressor, bytes).expect("whatever is bytes can be packed").to_vec();
    let bytes_max = bytes.len() + bytes.len() / 100 + 1_000;
    assert!(packed.len() <= bytes_max, "{} bytes from {}", packed.len(), bytes.len());
    assert_eq!(sample::compress(&mut compressor, bytes), Ok(&packed[..]), "packed once more");
    check_limit(&mut Decompressor::new(), kind, &packed, bytes);
    check_with_another(kind, &packed, bytes);
}

/// Packed bytes of several sizes and kinds, as we and others write them, and bytes that are not.
pub(crate) fn seeds(kind: Compression) -> Vec<Vec<u8>> {
    let mut inputs = vec![b"\x06a river, a river".to_vec()];
    inputs.extend(golden::batches().iter().filter_map(|bytes| match BatchHeader::parse(bytes) {
        Ok(header) if header.compression() == kind => Some([&[6], &bytes[BATCH_OVERHEAD_BYTES..]].concat()),
        _ => None,
    }));
    if kind.is_available() {
        inputs.extend(packed(kind));
    }
    inputs
}

fn packed(kind: Compression) -> Vec<Vec<u8>> {
    let contents = [
        Vec::new(),
        b"a".to_vec(),
        b"a river, a river, a river".to_vec(),
        vec![0; 70_000],
        (0..800u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect(),
    ];
    let mut compressor = Compressor::new(kind);
    let mut inputs: Vec<_> = contents
        .iter()
        .map(|bytes| [&[6], sample::compress(&mut compressor, bytes).expect("bytes can be packed")].concat())
        .collect();
    let twice = [&inputs[2][..], &inputs[2][1..]].concat();
    inputs.extend([twice, b"\x01a".to_vec(), b"\x4fa river, a river".to_vec()]);
    inputs
}
