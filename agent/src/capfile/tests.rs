//! Whole captures against tshark's tables, damaged ones, and random bytes.

mod captures;

use std::io::{Read, Write};

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
