//! What tshark reads in a capture, frame by frame and value by value, beside what the decoder
//! reads.

mod crafted;
mod fields;
mod inner;
mod links;
mod packets;
mod rare;

use std::path::Path;
use std::process::Command;

use flowsift::capfile::{self, FrameReader};
use flowsift::decode::{self, FieldSpec, FieldValue, Packet};
use flowsift::text;

/// Stands between the values of a field that occurs several times.
const SEPARATOR: char = '\u{1f}';

/// One frame as tshark reads it.
pub(crate) struct Dissection {
    /// Names of the layers, the outermost first.
    layers: Vec<String>,
    /// The values of each field asked for, the outermost first.
    values: Vec<Vec<String>>,
}

/// Whether tshark is here; says so if not.
fn is_here() -> bool {
    let here = Command::new("tshark").arg("--version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: tshark is not installed, no value was compared with its");
    }
    here
}

/// What tshark reads in a file: without reassembly, which would put the fields of a whole
/// datagram on its last fragment. A field is one of tshark's or several with `|` between, of which
/// the first that is there counts. Records of pcapng that are no packets are left out.
fn dissect(file: &Path, fields: &[&str]) -> Vec<Dissection> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file);
    for option in [
        "ip.defragment:FALSE",
        "ipv6.defragment:FALSE",
        "tcp.desegment_tcp_streams:FALSE",
        "tcp.relative_sequence_numbers:FALSE",
    ] {
        command.args(["-o", option]);
    }
    command.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
    command.arg("-E").arg(format!("aggregator={SEPARATOR}"));
    // Only packets have a link type.
    command.args(["-e", "frame.encap_type", "-e", "frame.protocols"]);
    for field in fields.iter().flat_map(|field| field.split('|')) {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| dissection(line, fields))
        .collect()
}

fn dissection(line: &str, fields: &[&str]) -> Option<Dissection> {
    let mut columns = line.split('\t');
    columns.next().filter(|link_type| !link_type.is_empty())?;
    let layers = columns.next()?.split(':').map(str::to_owned).collect();
    let mut alternatives = |field: &&str| {
        let spellings = field.split('|').map(|_| values(columns.next().unwrap()));
        let spellings: Vec<Vec<String>> = spellings.collect();
        spellings.into_iter().find(|values| !values.is_empty())
    };
    let values = fields.iter().map(|f| alternatives(f).unwrap_or_default());
    let values = values.collect();
    Some(Dissection { layers, values })
}

fn values(column: &str) -> Vec<String> {
    let parts = column.split(SEPARATOR).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// A reader of a capture; `None` if there is nothing that can be read as one.
fn reader(file: &Path) -> Option<FrameReader> {
    let inputs = capfile::discover(&[file.to_str().unwrap().to_owned()]).unwrap();
    inputs.first()?.open().ok()
}

/// A field of ours by its name with its protocol.
fn field(name: &str) -> FieldSpec {
    let (protocol, field) = name.split_once('.').unwrap();
    let found = decode::find(protocol, field).unwrap_or_else(|| panic!("no field {name}"));
    decode::fields()[usize::from(found.index)]
}

/// A field's value in the form that [`normal`] gives tshark's.
fn value(packet: &Packet<'_>, spec: &FieldSpec) -> Option<String> {
    Some(match (spec.extract)(packet)? {
        FieldValue::UInt(value) => value.to_string(),
        FieldValue::Bool(value) => u8::from(value).to_string(),
        FieldValue::Ipv4(value) => text::ipv4(value),
        FieldValue::Ip(value) => text::ip(value),
        FieldValue::Mac(value) => text::mac(value),
        FieldValue::Time(value) => value.to_string(),
        FieldValue::String(value) => value.into_owned(),
        FieldValue::Bytes(value) => text::bytes(value),
    })
}

/// A value of tshark's: numbers as decimals in units of `unit`, all else as it is.
fn normal(value: &str, unit: u64) -> String {
    let number = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    };
    match number {
        Some(number) => (number / unit).to_string(),
        None => value.to_owned(),
    }
}
