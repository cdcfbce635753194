//! The one table of packet fields: name, type, documentation, extraction.

mod app;
mod frame;
mod link;
mod network;
mod transport;

use std::borrow::Cow;
use std::sync::LazyLock;

use super::bytes;
use super::packet::Packet;
use crate::spelling::distance;
use crate::types::EvType;

/// A field of a packet.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Protocol, the part before the dot.
    pub protocol: &'static str,
    /// Name of the field and of the value that it makes.
    pub name: &'static str,
    /// Type of the value.
    pub ty: EvType,
    /// What it is, in half a sentence, with its unit.
    pub doc: &'static str,
    /// Other spellings of (protocol, name).
    pub aliases: &'static [(&'static str, &'static str)],
    /// For a field that means either side: names of the source's and the destination's field of
    /// the same protocol. Extraction gives the side that an unfiltered field means.
    pub either: Option<(&'static str, &'static str)>,
    /// Why the field is accepted though its layer has no such field.
    pub tolerated: Option<&'static str>,
    /// Reads the value; `None` where the packet does not have it.
    pub extract: Extract,
}

/// Reads a field of a packet.
pub type Extract = for<'a> fn(&Packet<'a>) -> Option<FieldValue<'a>>;

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// Of type `Bool`.
    Bool(bool),
    /// Of any unsigned integer type, within its range.
    UInt(u64),
    /// Of type `Ipv4`: host byte order.
    Ipv4(u32),
    /// Of type `Ip`: IPv4 as mapped.
    Ip([u8; 16]),
    /// Of type `Mac`: in the low 48 bits.
    Mac(u64),
    /// Of type `Bytes`.
    Bytes(&'a [u8]),
    /// Of type `String`.
    String(Cow<'a, str>),
    /// Of type `Time`: nanoseconds since the Unix epoch.
    Time(i64),
}

/// A field found by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index into [`fields`].
    pub index: u16,
    /// Whether the spelling is not the field's own.
    pub alias: bool,
}

/// All fields; a field's number is its index.
pub fn fields() -> &'static [FieldSpec] {
    static ALL: LazyLock<Vec<FieldSpec>> = LazyLock::new(|| {
        [
            frame::FIELDS,
            link::FIELDS,
            network::FIELDS,
            transport::FIELDS,
            app::FIELDS,
        ]
        .concat()
    });
    &ALL
}

/// The field of a name or alias, whatever its case.
pub fn find(protocol: &str, name: &str) -> Option<Found> {
    let same =
        |(p, n): (&str, &str)| p.eq_ignore_ascii_case(protocol) && n.eq_ignore_ascii_case(name);
    let position = |test: &dyn Fn(&FieldSpec) -> bool| {
        fields()
            .iter()
            .position(test)
            .and_then(|index| u16::try_from(index).ok())
    };
    if let Some(index) = position(&|f| same((f.protocol, f.name))) {
        return Some(Found {
            index,
            alias: false,
        });
    }
    let index = position(&|f| f.aliases.iter().any(|&alias| same(alias)))?;
    Some(Found { index, alias: true })
}

/// The protocols that have fields.
pub fn protocols() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    fields()
        .iter()
        .map(|f| f.protocol)
        .filter(move |&p| std::mem::replace(&mut last, p) != p)
}

/// The name (`proto.Field`) most like one that is no field, if any is like it.
pub fn nearest(protocol: &str, name: &str) -> Option<String> {
    let wanted = format!("{protocol}.{name}");
    let limit = (wanted.len() / 3).max(2);
    fields()
        .iter()
        .filter(|f| f.tolerated.is_none())
        .map(|f| format!("{}.{}", f.protocol, f.name))
        .map(|text| (distance(&wanted, &text), text))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, text)| text)
}

const fn field(
    protocol: &'static str,
    name: &'static str,
    ty: EvType,
    doc: &'static str,
    extract: Extract,
) -> FieldSpec {
    FieldSpec {
        protocol,
        name,
        ty,
        doc,
        aliases: &[],
        either: None,
        tolerated: None,
        extract,
    }
}

impl FieldSpec {
    const fn alias(self, aliases: &'static [(&'static str, &'static str)]) -> Self {
        Self { aliases, ..self }
    }

    const fn either(self, source: &'static str, destination: &'static str) -> Self {
        Self {
            either: Some((source, destination)),
            ..self
        }
    }

    const fn tolerated(self, why: &'static str) -> Self {
        Self {
            tolerated: Some(why),
            ..self
        }
    }
}

#[inline]
fn uint<'a>(value: Option<impl Into<u64>>) -> Option<FieldValue<'a>> {
    value.map(|v| FieldValue::UInt(v.into()))
}

/// Whether any of the bits of a byte is set.
#[inline]
fn bit<'a>(data: &[u8], at: usize, mask: u8) -> Option<FieldValue<'a>> {
    bytes::u8(data, at).map(|b| FieldValue::Bool(b & mask != 0))
}

fn mac<'a>(data: &[u8], at: usize) -> Option<FieldValue<'a>> {
    bytes::mac(data, at).map(FieldValue::Mac)
}

/// What follows a whole header; absent if the header is not whole.
fn payload<'a>(data: &'a [u8], header: Option<usize>) -> Option<FieldValue<'a>> {
    data.get(header?..)
        .filter(|_| !data.is_empty())
        .map(FieldValue::Bytes)
}
