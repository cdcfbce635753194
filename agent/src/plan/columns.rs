//! What the parts of a pipeline read: the columns of expressions and renderers, the types of
//! literals.

use super::pipeline::{Card, ColumnId, Expr, Literal, Renderer};
use crate::types::EvType;

impl Expr {
    /// The columns that the expression reads, as often as it does.
    pub fn columns(&self) -> Vec<ColumnId> {
        let mut columns = Vec::new();
        self.each_column(&mut |column| columns.push(column));
        columns
    }

    fn each_column(&self, found: &mut impl FnMut(ColumnId)) {
        match self {
            Self::Column(column) => found(*column),
            Self::Literal(_) | Self::Null(_) => {}
            Self::And(parts)
            | Self::Or(parts)
            | Self::Coalesce(parts)
            | Self::Call(_, parts, _) => parts.iter().for_each(|part| part.each_column(found)),
            Self::Not(inner)
            | Self::IsPresent(inner)
            | Self::InSubnet(inner, _)
            | Self::Cast(inner, _) => inner.each_column(found),
            Self::Compare(_, left, right) | Self::Arithmetic(_, left, right) => {
                left.each_column(found);
                right.each_column(found);
            }
            Self::Case(cases, otherwise) => {
                for (condition, value) in cases {
                    condition.each_column(found);
                    value.each_column(found);
                }
                otherwise.each_column(found);
            }
        }
    }
}

impl Literal {
    /// Its type.
    pub fn ty(&self) -> EvType {
        match self {
            Self::Bool(_) => EvType::Bool,
            Self::Int(_) => EvType::Int64,
            Self::UInt(_) => EvType::UInt64,
            Self::Float(_) => EvType::Float64,
            Self::String(_) => EvType::String,
            Self::Bytes(_) => EvType::Bytes,
            Self::Ip(_) => EvType::Ip,
            Self::Mac(_) => EvType::Mac,
            Self::Time(_) => EvType::Time,
            Self::Duration(_) => EvType::Duration,
        }
    }
}

impl Renderer {
    /// The columns that it reads, those that it merges rows by included.
    pub fn columns(&self) -> Vec<ColumnId> {
        match self {
            Self::Text { data, time, .. } => vec![*data, *time],
            Self::Raw { data, .. } | Self::Hex { data } => vec![*data],
            Self::Pcap { columns } => columns.to_vec(),
            Self::Table { columns, merge, .. } => columns
                .iter()
                .chain(merge.iter().flatten())
                .copied()
                .collect(),
            Self::Chart {
                time, categories, ..
            } => {
                let mut columns = vec![*time];
                for category in categories {
                    columns.push(category.value);
                    columns.extend(&category.keys);
                    columns.extend(category.branch.map(|(column, _)| column));
                }
                columns
            }
            Self::Stackgraph {
                bar,
                segment,
                magnitude,
            } => vec![*bar, *segment, *magnitude],
            Self::Fdg {
                source,
                target,
                weight,
                source_group,
                target_group,
                ..
            } => [*source, *target]
                .into_iter()
                .chain(
                    [*weight, *source_group, *target_group]
                        .into_iter()
                        .flatten(),
                )
                .collect(),
            Self::Numbercard { cards, keys, .. } => cards
                .iter()
                .flat_map(Card::columns)
                .chain(keys.iter().copied())
                .collect(),
        }
    }
}
