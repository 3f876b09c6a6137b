//! Zstandard without the C library: read, not written. The pure encoder has one level, slower than gzip's sixth and
//! larger, so there is nothing that it would be the right choice for.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{CompressionError, room::Room, zstd_frame::Frame};

/// The smallest window that a head can say.
const WINDOW_BYTES_MIN: usize = 1 << 10;

/// A decoder that has seen a larger window is not kept: it would hold on to that much memory.
const KEPT_BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Unpacker(FrameDecoder);

impl Unpacker {
    pub(super) fn unpack(&mut self, mut input: &[u8], room: &mut Room) -> Result<(), CompressionError> {
        while let Some(frame) = Frame::next(&mut input)? {
            let unpacked = self.unpack_frame(frame, room);
            if unpacked.is_err() || frame.content_bytes_max > KEPT_BYTES_MAX {
                self.0 = FrameDecoder::new();
            }
            unpacked?;
        }
        Ok(())
    }

    fn unpack_frame(&mut self, frame: Frame<'_>, room: &mut Room) -> Result<(), CompressionError> {
        let left = room.left();
        let mut source = Narrowed { frame, window: window(frame.room(room)?), at: 0 };
        self.0.init(&mut source).map_err(CompressionError::broken)?;
        while !self.0.is_finished() {
            let one = BlockDecodingStrategy::UptoBlocks(1);
            self.0.decode_blocks(&mut source, one).map_err(CompressionError::broken)?;
            self.drain(room)?;
        }
        if frame.is_exact && left - room.left() != frame.content_bytes_max {
            return Err(CompressionError::broken("a frame holds less than it says"));
        }
        self.check()
    }

    /// Moves what is no longer needed to look back at, in the end everything.
    fn drain(&mut self, room: &mut Room) -> Result<(), CompressionError> {
        let ready = self.0.can_collect();
        if ready > room.left() {
            return Err(room.too_large());
        }
        let drained = self.0.read(room.spare(ready)).map_err(CompressionError::broken)?;
        room.advance(drained);
        Ok(())
    }

    fn check(&self) -> Result<(), CompressionError> {
        match self.0.get_checksum_from_data() {
            Some(expected) if self.0.get_calculated_checksum() != Some(expected) => {
                Err(CompressionError::broken("its checksum is wrong"))
            }
            _ => Ok(()),
        }
    }
}

/// How a head says the smallest window that holds so many bytes.
fn window(bytes: usize) -> u8 {
    let log = bytes.max(WINDOW_BYTES_MIN).next_power_of_two().ilog2();
    ((log - WINDOW_BYTES_MIN.ilog2()) << 3) as u8
}

/// A frame whose window is no larger than all that may come out of it: the decoder takes memory for a window before
/// it has seen what is in the frame.
struct Narrowed<'a> {
    frame: Frame<'a>,
    window: u8,
    at: usize,
}

impl Read for Narrowed<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = (&self.frame.bytes[self.at..]).read(out)?;
        if let Some(window_at) = self.frame.window_at()
            && (self.at..self.at + read).contains(&window_at)
        {
            let window = &mut out[window_at - self.at];
            *window = self.window.min(*window);
        }
        self.at += read;
        Ok(read)
    }
}
