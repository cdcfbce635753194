//! Any bytes in any link type or from any layer on: walking ends and every field can be asked for.
#![no_main]

use flowsift::decode::{Layer, Packet, fields, protocols};
use flowsift::frame::{Frame, LinkType};
use libfuzzer_sys::fuzz_target;

/// More tunnels than a sound packet has in one another.
const MAX_DEPTH: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let [high, low, start, data @ ..] = bytes else {
        return;
    };
    // The first two bytes are the link type, the third the layer that the rest starts with.
    let frame = Frame {
        time_ns: None,
        wire_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
        link_type: LinkType(u16::from_be_bytes([*high, *low])),
        interface: "",
        offset: 0,
        data,
    };
    walk(Packet::decode(&frame));
    let names: Vec<&str> = protocols().collect();
    let name = names.get(usize::from(*start) % names.len().max(1));
    let layer = name.and_then(|name| Layer::of_protocol(name));
    walk(Packet::start_at(layer.unwrap_or(Layer::Frame), data));
});

/// Asks the packet and those that it carries for every field.
fn walk(packet: Packet<'_>) {
    let mut next = Some(packet);
    for _ in 0..MAX_DEPTH {
        let Some(packet) = next else { return };
        for field in fields() {
            std::hint::black_box((field.extract)(&packet));
        }
        std::hint::black_box(packet.is_later_fragment());
        next = packet.inner();
    }
}
