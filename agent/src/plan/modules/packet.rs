//! packet: fields of the packet, with filters.

use super::super::arguments::Args;
use super::super::fields::{self, PacketField};
use super::super::filter::{Condition, Operand, predicate, take_condition};
use super::super::pipeline::{ColumnId, Comparison, Expr, Op};
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::{Outcome, error};
use super::super::scope::{Origin, Scope};
use super::packet_input::Input;
use crate::lang::ast::{CompareOp, Spanned};
use crate::lang::diagnostic::Span;
use crate::types::EvType;

pub(super) static PACKET: ModuleSpec = ModuleSpec {
    summary: "extract fields of packets, and keep the packets that pass the filters",
    syntax: &["packet [-e EV] [-inner] PROTO.FIELD [OP VALUE] [as NAME] ..."],
    flags: &[
        flag("-inner", "read the packet that a tunnel carries"),
        valued(
            "-e",
            "a value",
            "read the packet in these bytes: an Ethernet frame, or an 802.11 frame where a field of it is asked for",
        ),
    ],
    reads: "DATA or the value named",
    makes: "a value per field, named after its last part or as given",
    example: "tag=pcap packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort | count by SrcIP | table",
    ..ModuleSpec::stage("packet", resolve)
};

/// Whether a negative filter (`!=`, `!~`) drops packets that lack the layer, as a positive one
/// does: `tcp.DstPort != 80` means TCP packets. The text extractors of the language do it the other
/// way round.
const NEGATIVE_FILTER_NEEDS_LAYER: bool = true;

/// One field as asked for.
struct Request {
    field: PacketField,
    span: Span,
    condition: Option<Condition>,
    name: String,
}

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let mut input = Input::resolve(args, scope)?;
    let mut requests = Vec::new();
    while !args.is_empty() {
        read_field(args, scope, &mut requests)?;
    }
    if requests.is_empty() {
        return Err(args.unexpected("expected a field such as ipv4.SrcIP"));
    }
    input.start(requests.iter().map(|r| (r.field.layer, r.span)))?;
    // Layers that the filters of this stage imply.
    let mut implied: Vec<&str> = requests
        .iter()
        .filter(|r| r.condition.is_some())
        .map(|r| r.field.layer)
        .collect();
    if input.is_frame() {
        warn_exclusive(scope, &requests);
        implied.extend(scope.filtered_layers.iter().map(|(layer, _)| *layer));
    }
    let mut made: Vec<(String, Vec<ColumnId>)> = Vec::new();
    for request in &requests {
        let column = extract(scope, request, &mut input)?;
        match made.iter_mut().find(|(name, _)| *name == request.name) {
            Some((_, columns)) if columns.contains(&column) => {}
            Some((_, columns)) => columns.push(column),
            None => made.push((request.name.clone(), vec![column])),
        }
        let certain = implied.contains(&request.field.layer);
        if !certain && (!input.is_frame() || may_be_absent(&request.field)) {
            scope.optional_fields.push(request.name.clone());
        } else {
            scope.optional_fields.retain(|name| *name != request.name);
        }
    }
    for (name, mut columns) in made {
        // A later stage sets the value anew where the packet has the field.
        let before = scope.find_exact(&name).filter(|b| !columns.contains(b));
        columns.extend(before);
        let column = merge(scope, &name, columns);
        scope.bind(name, column, Origin::Extracted);
    }
    Ok(())
}

/// Reads `field [op value] [as name]`.
fn read_field(args: &mut Args<'_>, scope: &mut Scope, requests: &mut Vec<Request>) -> Outcome {
    let word = args.word("a field such as ipv4.SrcIP")?;
    let field = fields::find(&word)?;
    if let Some(note) = &field.note {
        scope.warn(word.span, note.clone());
    }
    let condition = take_condition(args)?;
    let alias = args.take_as()?;
    let operand = condition.as_ref().and_then(operand_field);
    let name = alias.map_or_else(|| field.name.clone(), |alias| alias.value);
    requests.push(Request {
        field,
        span: word.span,
        condition,
        name,
    });
    // A field in the place of a value is extracted as well.
    if let Some(word) = operand {
        let field = fields::find(&word)?;
        requests.push(Request {
            name: field.name.clone(),
            field,
            span: word.span,
            condition: None,
        });
    }
    Ok(())
}

/// The field that stands where a filter's value should be.
fn operand_field(condition: &Condition) -> Option<Spanned<String>> {
    match &condition.operand {
        Operand::Text {
            text,
            quoted: false,
        } if fields::is_field(text) => Some(Spanned {
            value: text.clone(),
            span: condition.span,
        }),
        _ => None,
    }
}

/// The column of one field, after its filter.
fn extract(scope: &mut Scope, request: &Request, input: &mut Input) -> Outcome<ColumnId> {
    match request.field.either {
        Some(sides) => extract_either(scope, request, sides, input),
        None => {
            let column = input.column(scope, request.field.index);
            if let Some(condition) = &request.condition {
                let test = test(scope, request, column, condition, input)?;
                filter(scope, condition, column, test);
            }
            Ok(column)
        }
    }
}

/// A field that means either side: a filter picks the side that it holds for, the source first.
/// `!=` must hold for both; without a filter a port is the lower one, an address the source.
fn extract_either(
    scope: &mut Scope,
    request: &Request,
    sides: (u16, u16),
    input: &mut Input,
) -> Outcome<ColumnId> {
    let src = input.column(scope, sides.0);
    let dst = input.column(scope, sides.1);
    let (src_value, dst_value) = (Expr::Column(src), Expr::Column(dst));
    let chosen = match &request.condition {
        Some(condition) => {
            let first = test(scope, request, src, condition, input)?;
            let noted = scope.diagnostics.len();
            let second = test(scope, request, dst, condition, input)?;
            scope.diagnostics.truncate(noted);
            if condition.op.value == CompareOp::Ne {
                filter(scope, condition, src, Expr::And(vec![first, second]));
                None
            } else {
                let either = Expr::Or(vec![first.clone(), second]);
                filter(scope, condition, src, either);
                Some(first)
            }
        }
        None => None,
    };
    let ty = request.field.ty;
    let value = match chosen {
        Some(first) => Expr::Case(vec![(first, src_value)], Box::new(dst_value)),
        None if ty.is_number() => {
            let lower = Expr::Compare(
                Comparison::Le,
                Box::new(src_value.clone()),
                Box::new(dst_value.clone()),
            );
            Expr::Case(vec![(lower, src_value)], Box::new(dst_value))
        }
        None => return Ok(src),
    };
    let column = scope.column(request.name.clone(), scope.ty(src), None);
    scope.emit(Op::Assign(vec![(column, value)]));
    Ok(column)
}

/// The predicate of a field's filter over one of its columns.
fn test(
    scope: &mut Scope,
    request: &Request,
    column: ColumnId,
    condition: &Condition,
    input: &mut Input,
) -> Outcome<Expr> {
    let value = Expr::Column(column);
    let Some(word) = operand_field(condition) else {
        return predicate(scope, &value, scope.ty(column), condition);
    };
    let other = fields::find(&word)?;
    let comparison = match condition.op.value {
        CompareOp::Match => Comparison::Eq,
        CompareOp::NotMatch => Comparison::Ne,
        op => super::super::filter::comparison(op).unwrap_or(Comparison::Eq),
    };
    if request.field.ty.is_ip() != other.ty.is_ip()
        || (!other.ty.is_ip() && !other.ty.is_number() && other.ty != request.field.ty)
    {
        return Err(error(
            word.span,
            format!(
                "{} and {} cannot be compared",
                request.field.name, other.name
            ),
        ));
    }
    scope.warn_hint(
        word.span,
        format!(
            "the filter's value is missing: {} is compared with {} and both are extracted",
            request.field.name, other.name
        ),
        "the published query has !~ 10.10.10.0/24 here; !~ PRIVATE keeps what leaves the site",
    );
    let (index, _) = other.either.unwrap_or((other.index, other.index));
    let other = input.column(scope, index);
    Ok(Expr::Compare(
        comparison,
        Box::new(value),
        Box::new(Expr::Column(other)),
    ))
}

fn filter(scope: &mut Scope, condition: &Condition, column: ColumnId, test: Expr) {
    let negative = matches!(condition.op.value, CompareOp::Ne | CompareOp::NotMatch);
    let test = if negative && !NEGATIVE_FILTER_NEEDS_LAYER {
        let present = Expr::IsPresent(Box::new(Expr::Column(column)));
        Expr::Or(vec![Expr::Not(Box::new(present)), test])
    } else {
        test
    };
    scope.emit(Op::Filter(test));
}

/// One column of several that stand for the same name: the first that is present. It bears the
/// name, too.
fn merge(scope: &mut Scope, name: &str, columns: Vec<ColumnId>) -> ColumnId {
    if let [only] = columns.as_slice()
        && scope.info(*only).is_some_and(|c| c.name == name)
    {
        return *only;
    }
    let types: Vec<EvType> = columns.iter().map(|c| scope.ty(*c)).collect();
    let ty = common_type(&types);
    let mut values: Vec<Expr> = columns
        .into_iter()
        .map(|column| as_type(scope, column, ty))
        .collect();
    let value = match values.len() {
        1 => values.swap_remove(0),
        _ => Expr::Coalesce(values),
    };
    let column = scope.column(name, ty, None);
    scope.emit(Op::Assign(vec![(column, value)]));
    column
}

/// A column's values as those of a type that [`common_type`] gives.
pub(in crate::plan) fn as_type(scope: &Scope, column: ColumnId, ty: EvType) -> Expr {
    let value = Expr::Column(column);
    if scope.ty(column) == ty {
        value
    } else if ty == EvType::String {
        Expr::Call("to_text", vec![value], EvType::String)
    } else {
        Expr::Cast(Box::new(value), ty)
    }
}

/// The narrowest type that holds values of all.
pub(in crate::plan) fn common_type(types: &[EvType]) -> EvType {
    let Some((&first, rest)) = types.split_first() else {
        return EvType::String;
    };
    rest.iter().fold(first, |a, &b| {
        const UNSIGNED: [EvType; 4] = [
            EvType::UInt8,
            EvType::UInt16,
            EvType::UInt32,
            EvType::UInt64,
        ];
        let rank = |ty| UNSIGNED.iter().position(|u| *u == ty);
        match (rank(a), rank(b)) {
            _ if a == b => a,
            _ if a.is_ip() && b.is_ip() => EvType::Ip,
            (Some(x), Some(y)) => UNSIGNED.get(x.max(y)).copied().unwrap_or(EvType::UInt64),
            _ if a.is_integer() && b.is_integer() => EvType::Int64,
            _ if a.is_number() && b.is_number() => EvType::Float64,
            _ => EvType::String,
        }
    })
}

/// Fields above the network layer are absent from packets of other kinds.
fn may_be_absent(field: &PacketField) -> bool {
    !matches!(field.layer, "eth" | "ipv4" | "frame")
}

/// Layers of which a packet has only one.
const EXCLUSIVE: [&[&str]; 2] = [
    &["ipv4", "ipv6", "arp"],
    &["tcp", "udp", "sctp", "icmpv4", "icmpv6"],
];

/// Filters are ANDed: two that ask for layers that exclude each other match nothing.
fn warn_exclusive(scope: &mut Scope, requests: &[Request]) {
    for request in requests.iter().filter(|r| r.condition.is_some()) {
        let layer = request.field.layer;
        let clash = scope.filtered_layers.iter().find(|(other, _)| {
            *other != layer
                && EXCLUSIVE
                    .iter()
                    .any(|set| set.contains(&layer) && set.contains(other))
        });
        if let Some((other, _)) = clash {
            let message = format!(
                "filters are ANDed: no packet has both {other} and {layer}, nothing matches"
            );
            scope.warn_hint(
                request.span,
                message,
                "extract both without a filter and use eval with ||",
            );
        }
        scope.filtered_layers.push((layer, request.span));
    }
}
