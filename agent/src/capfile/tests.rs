//! Whole captures against tshark's tables, damaged ones, and random bytes.

mod build;
mod captures;
mod damaged;
mod named;
mod parts;

use std::io::{Read, Write};

use super::FrameReader;

/// A frame: time, wire length, link type, offset, interface, bytes.
type Owned = (Option<i64>, u32, u16, u64, String, Vec<u8>);

fn frames_of(reader: &mut FrameReader) -> Vec<Owned> {
    let mut frames = Vec::new();
    while let Some(f) = reader.next_frame() {
        let (interface, data) = (f.interface.to_owned(), f.data.to_vec());
        frames.push((
            f.time_ns,
            f.wire_len,
            f.link_type.0,
            f.offset,
            interface,
            data,
        ));
    }
    frames
}

/// The same bytes in each compression, in one member and in two.
fn compressed(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let gzip = |bytes: &[u8]| {
        let mut out = Vec::new();
        let level = flate2::Compression::fast();
        flate2::read::GzEncoder::new(bytes, level)
            .read_to_end(&mut out)
            .unwrap();
        out
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let lz4 = |bytes: &[u8]| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let xz = |bytes: &[u8]| {
        let mut out = Vec::new();
        liblzma::read::XzEncoder::new(bytes, 1)
            .read_to_end(&mut out)
            .unwrap();
        out
    };
    let (first, second) = plain.split_at(plain.len() / 2);
    let two = |f: &dyn Fn(&[u8]) -> Vec<u8>| [f(first), f(second)].concat();
    vec![
        ("gzip", gzip(plain)),
        ("zstd", zstd(plain)),
        ("lz4", lz4(plain)),
        ("xz", xz(plain)),
        ("gzip in two members", two(&gzip)),
        ("zstd in two frames", two(&zstd)),
        ("lz4 in two frames", two(&lz4)),
        ("xz in two streams", two(&xz)),
    ]
}
