//! LZ4 frames. Java reads none but independent blocks, and writes blocks of 64 KiB.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{CompressionError, read_all};

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut stream = FrameEncoder::with_frame_info(frame, out);
    stream.write_all(input).map_err(CompressionError::broken)?;
    stream.finish().map_err(CompressionError::broken)?;
    Ok(())
}

pub(super) fn decompress(input: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    read_all(FrameDecoder::new(input), input.len(), bytes_max)
}
