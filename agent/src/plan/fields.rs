//! Packet fields as the language names them: spelling, aliases and sides over the field table.

use super::report::{Outcome, error, hinted};
use crate::decode;

use crate::lang::ast::Spanned;
use crate::types::EvType;

/// A field of a packet, found.
#[derive(Clone, Debug)]
pub(crate) struct PacketField {
    /// Index into the field table.
    pub(crate) index: u16,
    /// Layer that must exist, as in the table.
    pub(crate) layer: &'static str,
    /// Name of the value that it makes.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: EvType,
    /// Indices of source and destination, if the field means either side.
    pub(crate) either: Option<(u16, u16)>,
    /// Why the spelling is accepted though it is not the field's name.
    pub(crate) note: Option<String>,
}

/// Whether a word names a field: `proto.Field`.
pub(crate) fn is_field(word: &str) -> bool {
    word.split_once('.')
        .is_some_and(|(protocol, name)| decode::find(protocol, name).is_some())
}

/// The field that a word names.
pub(crate) fn find(word: &Spanned<String>) -> Outcome<PacketField> {
    let text = word.value.as_str();
    let Some((protocol, name)) = text.split_once('.') else {
        return Err(hinted(
            error(word.span, format!("'{text}' is no packet field")),
            "fields are written as protocol.Field: ipv4.SrcIP",
        ));
    };
    match lookup(protocol, name) {
        Some(field) => Ok(field),
        None => {
            let problem = error(word.span, format!("packet has no field {text}"));
            Err(match nearest(protocol, name) {
                Some(near) => hinted(problem, format!("did you mean {near}?")),
                None => hinted(problem, "'flowsift fields' lists the fields"),
            })
        }
    }
}

fn lookup(protocol: &str, name: &str) -> Option<PacketField> {
    let index = decode::find(protocol, name)?.index;
    let spec = decode::fields().get(usize::from(index))?;
    let side = |name| decode::find(spec.protocol, name).map(|found| found.index);
    let either = match spec.either {
        Some((source, destination)) => Some((side(source)?, side(destination)?)),
        None => None,
    };
    // An alias names the value that it makes; a field of that name is no alias.
    let alias = spec
        .aliases
        .iter()
        .find(|(p, n)| p.eq_ignore_ascii_case(protocol) && n.eq_ignore_ascii_case(name));
    let note = match alias {
        Some((p, n)) => Some(format!(
            "{p}.{n} is read as {}.{}",
            spec.protocol, spec.name
        )),
        None => spec.tolerated.map(str::to_owned),
    };
    Some(PacketField {
        index,
        layer: spec.protocol,
        name: alias.map_or(spec.name, |(_, name)| name).to_owned(),
        ty: spec.ty,
        either,
        note,
    })
}

fn nearest(protocol: &str, name: &str) -> Option<String> {
    decode::nearest(protocol, name)
}
