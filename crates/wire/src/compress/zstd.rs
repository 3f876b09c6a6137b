//! Zstandard, through the C library. Whole frames at once: the library then needs no window of its own, whatever a
//! frame says, because it looks back into what it has written.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_error_name};

use super::{CompressionError, room::Room, zstd_frame::Frame};

/// What the library says, as a number, where there is no room for what comes out.
const NO_ROOM: usize = 70_usize.wrapping_neg();

pub(super) struct Packer(CCtx<'static>);

impl Packer {
    pub(super) fn new(level: i32) -> Self {
        let mut context = CCtx::create();
        let level = CParameter::CompressionLevel(level);
        context.set_parameter(level).expect("a codec has one of zstd's levels");
        Self(context)
    }

    pub(super) fn pack(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        out.reserve(compress_bound(input.len()));
        self.0.compress2(out, input).map_err(broken)?;
        Ok(())
    }
}

pub(super) struct Unpacker(DCtx<'static>);

impl Default for Unpacker {
    fn default() -> Self {
        Self(DCtx::create())
    }
}

impl Unpacker {
    pub(super) fn unpack(&mut self, mut input: &[u8], room: &mut Room) -> Result<(), CompressionError> {
        while let Some(frame) = Frame::next(&mut input)? {
            self.unpack_frame(frame, room)?;
        }
        Ok(())
    }

    /// Tries with room for what is usual, then with more: a frame that promises much and holds little gets little.
    fn unpack_frame(&mut self, frame: Frame<'_>, room: &mut Room) -> Result<(), CompressionError> {
        let possible = frame.room(room)?;
        let mut wanted = frame.bytes.len().saturating_mul(8);
        loop {
            let spare = room.spare(wanted.min(possible));
            match self.0.decompress(spare, frame.bytes) {
                Ok(length) => {
                    room.advance(length);
                    return Ok(());
                }
                Err(NO_ROOM) if wanted < possible => wanted = wanted.saturating_mul(4),
                Err(NO_ROOM) if possible < frame.content_bytes_max => return Err(room.too_large()),
                Err(error) => return Err(broken(error)),
            }
        }
    }
}

fn broken(error: usize) -> CompressionError {
    CompressionError::broken(get_error_name(error))
}
