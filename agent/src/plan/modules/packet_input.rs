//! Where a packet stage reads its fields: from the frame, or from bytes that a stage extracted.

use super::super::arguments::Args;
use super::super::pipeline::{ColumnId, Expr, Op, SourceColumn};
use super::super::report::{Outcome, error, hinted};
use super::super::scope::{Origin, Scope, needs_frames, text};
use crate::decode;
use crate::lang::diagnostic::Span;
use crate::types::EvType;

/// The packet that a stage reads.
pub(super) struct Input {
    /// The packet in a tunnel of it (`-inner`).
    inner: bool,
    bytes: Option<Bytes>,
}

/// Bytes that hold a packet (`-e`).
struct Bytes {
    value: Expr,
    /// Protocol of the header that they start with.
    start: &'static str,
    /// The columns that the stage made of them: field, column.
    made: Vec<(u16, ColumnId)>,
}

impl Input {
    /// The input that the flags of a stage name. `-e DATA` is the frame itself, whose link type
    /// the capture knows.
    pub(super) fn resolve(args: &Args<'_>, scope: &mut Scope) -> Outcome<Self> {
        let inner = args.has("-inner");
        let source = args.value("-e").map(|name| (scope.lookup(name), name));
        let Some((column, name)) = source.filter(|(column, _)| !is_frame_data(scope, *column))
        else {
            needs_frames(scope, "packet", args.name.span)?;
            return Ok(Self { inner, bytes: None });
        };
        let value = match scope.ty(column) {
            _ if scope.origin_of(column) == Some(Origin::Unknown) => Expr::Null(EvType::Bytes),
            EvType::Bytes => Expr::Column(column),
            ty => {
                return Err(hinted(
                    error(
                        name.span,
                        format!(
                            "'{}' has type {ty}: packets are read from bytes",
                            name.value
                        ),
                    ),
                    "bytes are made by fields such as udp.Payload, and by slice",
                ));
            }
        };
        Ok(Self {
            inner,
            bytes: Some(Bytes {
                value,
                start: "eth",
                made: Vec::new(),
            }),
        })
    }

    /// Whether the packet is the outermost one of the frame.
    pub(super) fn is_frame(&self) -> bool {
        !self.inner && self.bytes.is_none()
    }

    /// Settles, by the layers asked for, what the bytes start with.
    ///
    /// No value says its link type: bytes start with Ethernet, unless a field of 802.11 is asked
    /// for. The fields of a tunnelled packet say nothing of what carries it.
    pub(super) fn start(
        &mut self,
        layers: impl IntoIterator<Item = (&'static str, Span)>,
    ) -> Outcome {
        let Some(bytes) = &mut self.bytes else {
            return Ok(());
        };
        for (layer, span) in layers {
            match layer {
                "frame" => {
                    return Err(hinted(
                        error(
                            span,
                            "frame fields belong to the capture, a value has none of them",
                        ),
                        "extract them by a packet stage without -e",
                    ));
                }
                "dot11" | "dot11info" if !self.inner => bytes.start = "dot11",
                _ => {}
            }
        }
        Ok(())
    }

    /// The column of a field.
    pub(super) fn column(&mut self, scope: &mut Scope, field: u16) -> ColumnId {
        let (protocol, name, ty) = decode::fields()
            .get(usize::from(field))
            .map_or(("", "", EvType::String), |f| (f.protocol, f.name, f.ty));
        let inner = self.inner;
        let Some(bytes) = &mut self.bytes else {
            return scope.source(SourceColumn::Field { field, inner }, name, ty);
        };
        if let Some((_, column)) = bytes.made.iter().find(|(made, _)| *made == field) {
            return *column;
        }
        let function = if inner {
            "inner_packet_field"
        } else {
            "packet_field"
        };
        let arguments = vec![
            bytes.value.clone(),
            text(bytes.start),
            text(format!("{protocol}.{name}")),
        ];
        let column = scope.column(name, ty, None);
        scope.emit(Op::Assign(vec![(
            column,
            Expr::Call(function, arguments, ty),
        )]));
        bytes.made.push((field, column));
        column
    }
}

/// Whether a column is the scan's DATA.
fn is_frame_data(scope: &Scope, column: ColumnId) -> bool {
    scope
        .source
        .iter()
        .any(|(id, source)| *id == column && *source == SourceColumn::Data)
}
