//! Compressed captures: recognised by magic number, decompressed as a stream.

use std::io::{self, BufReader, Read};

/// Compressed bytes handed to a decompressor at a time.
const INPUT_BUFFER: usize = 128 << 10;
/// Memory that an xz dictionary may take; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// A compression by its magic number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Lz4,
    Xz,
}

impl Compression {
    /// RFC 1952, 2.3.1; RFC 8878, 3.1.1; LZ4 frame format 1.6.1; xz file format 1.1.0, 2.1.1.1.
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Some(Self::Xz),
            _ => None,
        }
    }

    /// The decompressed bytes of `source`, which may hold several members one after another.
    pub(super) fn decoder(
        self,
        source: impl Read + Send + 'static,
    ) -> io::Result<Box<dyn Read + Send>> {
        let source = BufReader::with_capacity(INPUT_BUFFER, source);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(source)?),
            Self::Lz4 => Box::new(Lz4Members(lz4_flex::frame::FrameDecoder::new(source))),
            Self::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(source, stream))
            }
        })
    }
}

/// The frame decoder says "end" after each frame; a second end in a row is the real one.
struct Lz4Members<R: Read>(lz4_flex::frame::FrameDecoder<R>);

impl<R: Read> Read for Lz4Members<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => self.0.read(buf),
            n => Ok(n),
        }
    }
}
