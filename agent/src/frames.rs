//! Frames held in memory, one after another: what came in one go from a live source.

use std::sync::Arc;

use crate::frame::{Frame, LinkType};

/// Frames with their bytes, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    heads: Vec<Head>,
    bytes: Vec<u8>,
    /// Names of interfaces; few, and nearly always one.
    interfaces: Vec<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Head {
    time_ns: Option<i64>,
    offset: u64,
    start: usize,
    len: u32,
    wire_len: u32,
    link_type: LinkType,
    interface: usize,
}

impl Frames {
    /// Adds a frame.
    pub fn push(&mut self, frame: Frame<'_>) {
        let known = |name: &Arc<str>| **name == *frame.interface;
        let interface = match self.interfaces.iter().position(known) {
            Some(place) => place,
            None => {
                self.interfaces.push(frame.interface.into());
                self.interfaces.len() - 1
            }
        };
        self.heads.push(Head {
            time_ns: frame.time_ns,
            offset: frame.offset,
            start: self.bytes.len(),
            // A frame of more than 4 GiB is in no capture.
            len: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
            wire_len: frame.wire_len,
            link_type: frame.link_type,
            interface,
        });
        self.bytes.extend_from_slice(frame.data);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes that they take in memory, without what is reserved for more.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.heads.len() * size_of::<Head>()
    }

    /// The frame of a place.
    pub fn get(&self, place: usize) -> Option<Frame<'_>> {
        let head = self.heads.get(place)?;
        let end = head.start.checked_add(head.len as usize)?;
        Some(Frame {
            time_ns: head.time_ns,
            wire_len: head.wire_len,
            link_type: head.link_type,
            interface: self.interfaces.get(head.interface)?,
            offset: head.offset,
            data: self.bytes.get(head.start..end)?,
        })
    }

    /// The time of each frame, in order.
    pub fn times(&self) -> impl Iterator<Item = Option<i64>> {
        self.heads.iter().map(|head| head.time_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_added() {
        let frame = |offset, interface, data| Frame {
            time_ns: Some(5 - offset as i64),
            wire_len: 100,
            link_type: LinkType(1),
            interface,
            offset,
            data,
        };
        let mut frames = Frames::default();
        assert!(frames.is_empty() && frames.get(0).is_none());
        frames.push(frame(1, "lan0", b"abc"));
        frames.push(frame(2, "wan0", b""));
        frames.push(frame(3, "lan0", b"de"));
        assert_eq!(frames.len(), 3);
        let got: Vec<_> = (0..3).filter_map(|place| frames.get(place)).collect();
        let seen: Vec<_> = got
            .iter()
            .map(|f| (f.offset, f.interface, f.data, f.wire_len))
            .collect();
        let expected: [(u64, &str, &[u8], u32); 3] = [
            (1, "lan0", b"abc", 100),
            (2, "wan0", b"", 100),
            (3, "lan0", b"de", 100),
        ];
        assert_eq!(seen, expected);
        let times: Vec<_> = frames.times().collect();
        assert_eq!(times, [Some(4), Some(3), Some(2)]);
    }
}
