//! Made-up frames of every link type and encapsulation that the decoder knows.

use std::fs;
use std::path::Path;

use flowsift::decode;

use super::fields::{Comparison, compare};
use super::{is_here, links, packets};

/// PPP of pppd: tshark 4.0 does not read files of it.
const NOT_IN_TSHARK: u16 = 166;

/// A capture of these frames.
pub(super) fn write(path: &Path, link: u16, frames: &[Vec<u8>]) {
    let mut bytes = vec![
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0,
    ];
    bytes.extend(u32::from(link).to_le_bytes());
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        bytes.extend([0, 0, 0, 0x50, 0, 0, 0, 0]);
        bytes.extend([length, length].concat());
        bytes.extend(frame);
    }
    fs::write(path, bytes).unwrap();
}

/// Every packet over the plainest frame, a few over all.
fn frames(link: u16) -> Vec<Vec<u8>> {
    let plain = packets::all().into_iter();
    let plain = plain.filter_map(|packet| links::frames(link, &packet).into_iter().next());
    let few = packets::few().into_iter();
    let dressed = few.flat_map(|packet| links::frames(link, &packet));
    plain.chain(dressed).collect()
}

#[test]
fn crafted_frames_read_as_in_tshark() {
    if !is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut found = Comparison::default();
    let mut unread: Vec<_> = Vec::new();
    for (link, name) in decode::link_types().filter(|(link, _)| link.0 != NOT_IN_TSHARK) {
        let path = folder.path().join(format!("{}-{name}.pcap", link.0));
        let frames = frames(link.0);
        assert!(frames.len() > 10, "{} frames of {name}", frames.len());
        write(&path, link.0, &frames);
        let one = compare(&path);
        if !one.has_addresses() {
            unread.push(name);
        }
        found.add(one);
    }
    found.check();
    assert!(unread.is_empty(), "no address was read: {unread:?}");
}
