//! gRPC frames as they are: the codec that neither reads nor writes a message.
//!
//! A notification stays wire bytes until its script's thread makes a table of it; the simulated daemon serves every RPC
//! with the same codec.

use bytes::{Buf, BufMut, Bytes};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Passes message bodies through.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCodec;

/// What the buffer of what is written holds to begin with; a bigger message grows it.
const BUFFER: usize = 1024;

/// The same of what is read: ten thousand streams on which nothing came yet would take 80 MB with tonic's own 8 KiB. Not
/// nothing at all, by which tonic would divide if it had to decompress.
const AT_REST: usize = 1;

/// Bytes written before tonic hands them to the transport.
const YIELD: usize = 32 * 1024;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, YIELD)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(AT_REST, YIELD)
    }
}
