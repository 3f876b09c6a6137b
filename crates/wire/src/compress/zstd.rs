//! Zstandard, through the C library.

use std::io::Write;

use super::{CompressionError, read_all};

/// Java's default.
const LEVEL: i32 = 3;

/// The largest window that level 22 asks for, and the library's own limit: 128 MiB, of which it touches what it uses.
const WINDOW_LOG_MAX: u32 = 27;

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut stream = zstd::stream::write::Encoder::new(out, LEVEL).map_err(CompressionError::broken)?;
    stream.write_all(input).map_err(CompressionError::broken)?;
    stream.finish().map_err(CompressionError::broken)?;
    Ok(())
}

pub(super) fn decompress(input: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut stream = zstd::stream::read::Decoder::with_buffer(input).map_err(CompressionError::broken)?;
    stream.window_log_max(WINDOW_LOG_MAX).map_err(CompressionError::broken)?;
    read_all(stream, input.len(), bytes_max)
}
