//! Gzip, members one after another, as Java's `GZIPInputStream` reads them.

use std::io::Write;

use flate2::{bufread::MultiGzDecoder, write::GzEncoder};

use super::{CompressionError, read_all};

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut stream = GzEncoder::new(out, flate2::Compression::default());
    stream.write_all(input).map_err(CompressionError::broken)?;
    stream.finish().map_err(CompressionError::broken)?;
    Ok(())
}

pub(super) fn decompress(input: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    read_all(MultiGzDecoder::new(input), input.len(), bytes_max)
}
