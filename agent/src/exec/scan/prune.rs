//! Which row groups of a sidecar can hold packets that a query wants: by bounds and Bloom filters.

use super::fields;
use super::predicate::Predicate;
use super::test::Test;
use super::view::Columns;
use crate::plan::pipeline::SourceColumn;
use crate::store::sidecar::{Bounds, Column, Sidecar};

/// The row groups that may hold such packets, in their order.
///
/// A Bloom filter or a bound that cannot be read rules nothing out: damage is met, and told, when
/// the group is read.
pub(super) fn groups(
    sidecar: &Sidecar,
    predicate: Option<&Predicate>,
    time_range: Option<(i64, i64)>,
    columns: &Columns,
) -> Vec<usize> {
    let may_match = |group: usize| {
        in_time(sidecar, group, time_range)
            && predicate.is_none_or(|predicate| {
                let value = |column: usize, test: &Test| match stored(columns, column) {
                    Some(stored) => may_pass(sidecar, group, stored, test),
                    None => true,
                };
                predicate.may_hold(&value, &|_| true)
            })
    };
    (0..sidecar.groups())
        .filter(|group| may_match(*group))
        .collect()
}

fn in_time(sidecar: &Sidecar, group: usize, range: Option<(i64, i64)>) -> bool {
    let Some((start, end)) = range else {
        return true;
    };
    match sidecar.time_bounds(group) {
        Bounds::Nothing => false,
        Bounds::Within(low, high) => high >= start && low < end,
        Bounds::Unknown => true,
    }
}

/// The column of a sidecar whose values are a field's, where it has one.
#[derive(Clone, Copy)]
enum Stored {
    /// Any family, 16 bytes.
    Address(Column),
    /// IPv4 alone, as a number.
    AddressV4(Column),
    Number(Column),
}

fn stored(columns: &Columns, column: usize) -> Option<Stored> {
    let Some(SourceColumn::Field {
        field,
        inner: false,
    }) = columns.source(column)
    else {
        return None;
    };
    let name = fields::name(field);
    let (protocol, name) = name.split_once('.')?;
    Some(match (protocol, name) {
        ("ipv4", "SrcIP") => Stored::AddressV4(Column::Source),
        ("ipv4", "DstIP") => Stored::AddressV4(Column::Destination),
        ("ipv6" | "tcp" | "udp", "SrcIP") => Stored::Address(Column::Source),
        ("ipv6" | "tcp" | "udp", "DstIP") => Stored::Address(Column::Destination),
        ("ipv4" | "ipv6" | "tcp" | "udp" | "sctp", "SrcPort") => Stored::Number(Column::SourcePort),
        ("ipv4" | "ipv6" | "tcp" | "udp" | "sctp", "DstPort") => {
            Stored::Number(Column::DestinationPort)
        }
        ("ipv4", "Protocol") => Stored::Number(Column::Protocol),
        ("dot1q", "VLANID") => Stored::Number(Column::Vlan),
        ("frame", "Len") => Stored::Number(Column::WireLength),
        _ => return None,
    })
}

fn may_pass(sidecar: &Sidecar, group: usize, stored: Stored, test: &Test) -> bool {
    match stored {
        Stored::Number(column) => {
            let bounds = sidecar.number_bounds(group, column);
            test.wanted_numbers().is_none_or(|wanted| {
                overlaps(bounds, &wanted) && !ruled_out_port(sidecar, group, column, &wanted)
            })
        }
        Stored::Address(column) => {
            may_have_address(sidecar, group, column, test.wanted_addresses())
        }
        Stored::AddressV4(column) => {
            may_have_address(sidecar, group, column, test.wanted_addresses_v4())
        }
    }
}

/// Ranges of values, both ends included, of which one has to be there.
pub(super) type Wanted<T> = Vec<(T, T)>;

fn may_have_address(
    sidecar: &Sidecar,
    group: usize,
    column: Column,
    wanted: Option<Wanted<[u8; 16]>>,
) -> bool {
    let Some(wanted) = wanted else {
        return true;
    };
    if !overlaps(sidecar.address_bounds(group, column), &wanted) {
        return false;
    }
    let absent = |(low, high): &([u8; 16], [u8; 16])| {
        low == high && matches!(sidecar.may_have_address(group, column, low), Ok(false))
    };
    !wanted.iter().all(absent)
}

fn ruled_out_port(sidecar: &Sidecar, group: usize, column: Column, wanted: &Wanted<u64>) -> bool {
    let absent = |(low, high): &(u64, u64)| {
        low == high
            && u16::try_from(*low)
                .is_ok_and(|port| matches!(sidecar.may_have_port(group, column, port), Ok(false)))
    };
    column == Column::DestinationPort && wanted.iter().all(absent)
}

fn overlaps<T: Ord>(bounds: Bounds<T>, wanted: &Wanted<T>) -> bool {
    match bounds {
        Bounds::Nothing => false,
        Bounds::Within(low, high) => wanted.iter().any(|(from, to)| *from <= high && *to >= low),
        Bounds::Unknown => true,
    }
}
