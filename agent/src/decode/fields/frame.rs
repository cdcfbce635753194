//! Fields of the capture record.

use std::borrow::Cow;

use super::{FieldSpec, FieldValue, field, uint};
use crate::types::EvType::{String, Time, UInt16, UInt32};

pub(super) static FIELDS: &[FieldSpec] = &[
    field("frame", "Len", UInt32, "bytes on the wire", |p| {
        Some(FieldValue::UInt(u64::from(p.frame.wire_len)))
    })
    .alias(&[("frame", "Length")]),
    field("frame", "CapLen", UInt32, "bytes captured", |p| {
        uint(u32::try_from(p.frame.data.len()).ok())
    }),
    field("frame", "Time", Time, "when the frame was captured", |p| {
        p.frame.time_ns.map(FieldValue::Time)
    }),
    field(
        "frame",
        "Interface",
        String,
        "name of the interface, or its number (pcapng)",
        |p| {
            let name = p.frame.interface;
            (!name.is_empty()).then_some(FieldValue::String(Cow::Borrowed(name)))
        },
    ),
    field(
        "frame",
        "LinkType",
        UInt16,
        "link type number (LINKTYPE_ value)",
        |p| Some(FieldValue::UInt(u64::from(p.frame.link_type.0))),
    ),
];
