//! Fields of packets that a value holds.

use std::borrow::Cow;

use super::super::error::Error;
use super::value::{Value, to_mapped};
use super::{Context, Entry, Prepared, strict};
use crate::decode::{self, FieldValue, Layer, Packet};

pub(super) const FUNCTIONS: &[Entry] = &[
    strict("packet_field", |context, values| {
        read(context, values, false)
    }),
    strict("inner_packet_field", |context, values| {
        read(context, values, true)
    }),
];

/// A field, named `protocol.Field`, of bytes that start with the layer of a protocol.
pub(super) fn prepare(start: &str, field: &str) -> Result<Prepared, Error> {
    let unknown =
        |what, name| Error::Internal(format!("{what} {name} is not known to the decoder"));
    let start = Layer::of_protocol(start).ok_or_else(|| unknown("layer", start))?;
    let spec = field
        .split_once('.')
        .and_then(|(protocol, name)| decode::find(protocol, name))
        .and_then(|found| decode::fields().get(usize::from(found.index)))
        .ok_or_else(|| unknown("field", field))?;
    Ok(Prepared::Field {
        start,
        extract: spec.extract,
    })
}

/// The field of the packet in a value, or of the packet that this one carries.
fn read<'a>(context: &Context, values: &[Value<'a>], inner: bool) -> Value<'a> {
    let (Prepared::Field { start, extract }, Some(Value::Bytes(bytes))) =
        (&context.prepared, values.first())
    else {
        return Value::Null;
    };
    match bytes {
        Cow::Borrowed(bytes) => field(*start, *extract, bytes, inner),
        Cow::Owned(bytes) => owned(field(*start, *extract, bytes, inner)),
    }
}

fn field(start: Layer, extract: decode::Extract, bytes: &[u8], inner: bool) -> Value<'_> {
    let outer = Packet::start_at(start, bytes);
    let packet = if inner { outer.inner() } else { Some(outer) };
    packet
        .and_then(|packet| extract(&packet))
        .map_or(Value::Null, value)
}

fn value(field: FieldValue<'_>) -> Value<'_> {
    match field {
        FieldValue::Bool(value) => Value::Bool(value),
        FieldValue::UInt(value) => Value::UInt(value),
        FieldValue::Ipv4(address) => Value::Ip(to_mapped(address)),
        FieldValue::Ip(address) => Value::Ip(address),
        FieldValue::Mac(address) => Value::Mac(address),
        FieldValue::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        FieldValue::String(text) => Value::Str(text),
        FieldValue::Time(time) => Value::Time(time),
    }
}

/// The same value without a borrow.
fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Bool(v) => Value::Bool(v),
        Value::Int(v) => Value::Int(v),
        Value::UInt(v) => Value::UInt(v),
        Value::Float(v) => Value::Float(v),
        Value::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
        Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        Value::Ip(v) => Value::Ip(v),
        Value::Mac(v) => Value::Mac(v),
        Value::Time(v) => Value::Time(v),
        Value::Duration(v) => Value::Duration(v),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EvType;

    /// An Ethernet frame with an IPv4 header and a UDP header, and 802.11 data with the same.
    fn frames() -> (Vec<u8>, Vec<u8>) {
        let ip = [
            0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0x10, 0, 0,
            10, 0, 0, b'h', b'i',
        ];
        let ethernet = [&[2; 12][..], &[8, 0], &ip].concat();
        let dot11 = [
            &[8, 0, 0, 0][..],
            &[2; 20],
            &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0],
            &ip,
        ]
        .concat();
        (ethernet, dot11)
    }

    fn read_field<'a>(start: &str, name: &str, bytes: Cow<'a, [u8]>) -> Value<'a> {
        let context = Context {
            result: EvType::Bytes,
            prepared: prepare(start, name).unwrap(),
        };
        read(&context, &[Value::Bytes(bytes)], false)
    }

    #[test]
    fn fields_of_bytes() {
        let (ethernet, dot11) = frames();
        let ip = |last: u32| Value::Ip(to_mapped(0x0a00_0000 + last));
        let cases = [
            ("eth", &ethernet, "ipv4.SrcIP", ip(1)),
            ("eth", &ethernet, "ipv4.DstIP", ip(2)),
            ("eth", &ethernet, "udp.SrcPort", Value::UInt(53)),
            ("eth", &ethernet, "tcp.SrcPort", Value::Null),
            ("eth", &ethernet, "eth.Len", Value::UInt(44)),
            ("dot11", &dot11, "udp.SrcPort", Value::UInt(53)),
            ("dot11", &dot11, "eth.Type", Value::Null),
            ("eth", &dot11, "udp.SrcPort", Value::Null),
        ];
        for (start, bytes, name, expected) in cases {
            assert_eq!(
                read_field(start, name, bytes.into()),
                expected,
                "{start} {name}"
            );
        }
        let payload = Value::Bytes(Cow::Borrowed(&b"hi"[..]));
        assert_eq!(
            read_field("eth", "udp.Payload", (&ethernet).into()),
            payload
        );
        assert_eq!(
            read_field("eth", "udp.Payload", Cow::Owned(ethernet)),
            payload
        );
    }

    #[test]
    fn bytes_that_end_early_have_no_values() {
        let (ethernet, _) = frames();
        for length in 0..38 {
            let cut = Cow::Borrowed(&ethernet[..length]);
            assert_eq!(
                read_field("eth", "udp.Length", cut),
                Value::Null,
                "{length}"
            );
        }
    }

    #[test]
    fn what_the_decoder_does_not_know_is_an_error() {
        assert!(prepare("eth", "ipv4.Foo").is_err());
        assert!(prepare("token-ring", "ipv4.SrcIP").is_err());
    }
}
