//! The decoder's table of packet fields, by the numbers that a pipeline uses.

use crate::decode::{self, FieldSpec, FieldValue, Packet};
use crate::types::EvType;

/// Reads a field of a packet.
pub(super) type Extract = for<'a> fn(&Packet<'a>) -> Option<FieldValue<'a>>;

fn spec(field: u16) -> Option<&'static FieldSpec> {
    decode::fields().get(usize::from(field))
}

/// The name of a field with that of its protocol, as in `ipv4.SrcIP`.
pub(super) fn name(field: u16) -> String {
    match spec(field) {
        Some(spec) => format!("{}.{}", spec.protocol, spec.name),
        None => format!("field.{field}"),
    }
}

/// The type of a field.
pub(super) fn ty(field: u16) -> EvType {
    spec(field).map_or(EvType::Bytes, |spec| spec.ty)
}

/// Whether it is the name of the frame's interface.
pub(super) fn is_interface(field: u16) -> bool {
    spec(field).is_some_and(|spec| (spec.protocol, spec.name) == ("frame", "Interface"))
}

/// How a field is read; `None` if there is no such field.
pub(super) fn extract(field: u16) -> Option<Extract> {
    spec(field).map(|spec| spec.extract)
}
