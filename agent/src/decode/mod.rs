//! Decoding: a frame's bytes and link type to header fields, only those that are asked for.
//!
//! Knows nothing of files, queries or the engine. [`Packet::decode`] walks from the link header to
//! the transport header behind the outermost IP header and notes where each layer starts; a field
//! of the table ([`fields`]) reads its bytes when it is extracted. Nothing is allocated.
//!
//! Which packets have which fields follows tshark: a header that contradicts itself (IPv4 with a
//! header length below 20, a total length below the header's) has no fields, a header that the
//! capture cut has those that are there. etherparse gives the protocol numbers; its parsers want
//! whole, consistent headers and are not used for those that tshark reads in part.

mod bytes;
mod cards;
mod dot11;
mod fields;
mod juniper;
mod linktype;
mod network;
mod networks;
mod packet;
mod tags;
mod tunnel;
pub mod tuple;
mod walk;

#[cfg(test)]
mod tests;

pub use fields::{Extract, FieldSpec, FieldValue, Found, fields, find, nearest, protocols};
pub use linktype::{is_decodable, link_type_name, link_types};
pub use packet::{Layer, Packet};
pub use tuple::Tuple;
