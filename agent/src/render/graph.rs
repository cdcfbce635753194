//! Force-directed graphs: edges as text, DOT and JSON.

use std::collections::HashMap;
use std::io::Write;

use datafusion::arrow::array::RecordBatch;

use super::error::Error;
use super::value;
use super::{Format, RenderOptions, Sink, escape, missed};
use crate::missed::Missed;
use crate::text;
use crate::types::OutputColumn;

/// Edges that are shown, the heaviest: more cannot be seen.
const SHOWN_EDGES: usize = 2000;
/// Stands for an end that is absent.
const ABSENT: &str = "(none)";

#[derive(Clone, Debug)]
struct Edge {
    source: String,
    target: String,
    groups: [Option<String>; 2],
    weight: f64,
    /// The weight as it is written.
    shown: String,
}

/// Keeps the heaviest edges, then writes them.
pub(super) struct Graph<W> {
    out: W,
    columns: Vec<OutputColumn>,
    format: Format,
    options: RenderOptions,
    edges: Vec<Edge>,
    seen: u64,
    missed: Missed,
}

impl<W: Write> Graph<W> {
    pub(super) fn new(
        out: W,
        columns: Vec<OutputColumn>,
        format: Format,
        options: RenderOptions,
    ) -> Result<Self, Error> {
        if !matches!(columns.len(), 3 | 5) {
            return Err(Error::Columns {
                answer: "a graph",
                found: columns.len(),
                needed: "source, target and weight, and with groups two more",
            });
        }
        Ok(Self {
            out,
            columns,
            format,
            options,
            edges: Vec::new(),
            seen: 0,
            missed: Missed::default(),
        })
    }

    /// Heaviest first; edges of equal weight in the order of their ends.
    fn keep_heaviest(&mut self) {
        self.edges.sort_by(|a, b| {
            b.weight
                .total_cmp(&a.weight)
                .then_with(|| (&a.source, &a.target).cmp(&(&b.source, &b.target)))
        });
        self.edges.truncate(SHOWN_EDGES);
    }

    fn write_text(&mut self) -> Result<(), Error> {
        let (dim, plain) = self.options.style("2");
        for edge in &self.edges {
            writeln!(
                self.out,
                "{} {dim}->{plain} {} {}",
                escape::terminal(&edge.source),
                escape::terminal(&edge.target),
                edge.shown
            )?;
        }
        Ok(())
    }

    fn write_dot(&mut self) -> Result<(), Error> {
        let nodes = Nodes::of(&self.edges);
        let heaviest = self.edges.first().map_or(1.0, |edge| edge.weight);
        writeln!(self.out, "digraph flowsift {{")?;
        writeln!(self.out, "  node [shape=box, style=rounded];")?;
        for (name, group) in &nodes.list {
            write!(self.out, "  {}", escape::dot(name))?;
            if let Some(group) = group.and_then(|group| nodes.groups.get(group)) {
                write!(self.out, " [group={}]", escape::dot(group))?;
            }
            writeln!(self.out, ";")?;
        }
        for edge in &self.edges {
            let share = (edge.weight / heaviest).clamp(0.0, 1.0);
            writeln!(
                self.out,
                "  {} -> {} [label={}, penwidth={:.2}];",
                escape::dot(&edge.source),
                escape::dot(&edge.target),
                escape::dot(&edge.shown),
                1.0 + 4.0 * if share.is_nan() { 0.0 } else { share }
            )?;
        }
        writeln!(self.out, "}}")?;
        Ok(())
    }

    fn write_json(&mut self) -> Result<(), Error> {
        let nodes = Nodes::of(&self.edges);
        let mut text = String::from("{\"nodes\":[");
        for (id, (name, group)) in nodes.list.iter().enumerate() {
            text.push_str(if id > 0 { ",\n" } else { "\n" });
            text.push_str(&format!("{{\"id\":{id},\"name\":"));
            escape::json(name, &mut text);
            let group = group.map_or_else(|| "null".to_owned(), |group| group.to_string());
            text.push_str(&format!(",\"group\":{group}}}"));
        }
        text.push_str("\n],\"links\":[");
        for (n, edge) in self.edges.iter().enumerate() {
            text.push_str(if n > 0 { ",\n" } else { "\n" });
            text.push_str(&format!(
                "{{\"source\":{},\"target\":{},\"value\":{}}}",
                nodes.id(&edge.source),
                nodes.id(&edge.target),
                json_number(edge)
            ));
        }
        text.push_str("\n],\"groups\":[");
        for (n, group) in nodes.groups.iter().enumerate() {
            text.push_str(if n > 0 { "," } else { "" });
            escape::json(group, &mut text);
        }
        text.push(']');
        missed::write_json(&self.missed, &mut text);
        text.push_str("}\n");
        Ok(self.out.write_all(text.as_bytes())?)
    }
}

/// Whole numbers as they are written; others as the number they stand for.
fn json_number(edge: &Edge) -> String {
    if edge.shown.parse::<i128>().is_ok() {
        edge.shown.clone()
    } else if edge.weight.is_finite() {
        text::float(edge.weight)
    } else {
        "null".to_owned()
    }
}

/// The ends of the edges, numbered in order of appearance, and their groups.
struct Nodes<'a> {
    /// (name, index of its group).
    list: Vec<(&'a str, Option<usize>)>,
    groups: Vec<&'a str>,
    ids: HashMap<&'a str, usize>,
}

impl<'a> Nodes<'a> {
    fn of(edges: &'a [Edge]) -> Self {
        let mut nodes = Self {
            list: Vec::new(),
            groups: Vec::new(),
            ids: HashMap::new(),
        };
        let mut groups = HashMap::new();
        for edge in edges {
            let [source_group, target_group] = &edge.groups;
            for (name, group) in [(&edge.source, source_group), (&edge.target, target_group)] {
                let group = group.as_deref().map(|group| {
                    *groups.entry(group).or_insert_with(|| {
                        nodes.groups.push(group);
                        nodes.groups.len() - 1
                    })
                });
                let id = *nodes.ids.entry(name).or_insert_with(|| {
                    nodes.list.push((name, None));
                    nodes.list.len() - 1
                });
                // The first group that is known of a node is its group.
                if let Some((_, known @ None)) = nodes.list.get_mut(id) {
                    *known = group;
                }
            }
        }
        nodes
    }

    fn id(&self, name: &str) -> usize {
        self.ids.get(name).copied().unwrap_or_default()
    }
}

impl<W: Write> Sink for Graph<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "a graph")?;
        let [source, target, weight, groups @ ..] = values.as_slice() else {
            return Ok(());
        };
        let group = |n: usize, row: usize| {
            let values = groups.get(n).filter(|values| !values.is_null(row))?;
            Some(values.text(row))
        };
        let end = |values: &value::Values, row: usize| {
            if values.is_null(row) {
                ABSENT.to_owned()
            } else {
                values.text(row)
            }
        };
        for row in 0..batch.num_rows() {
            self.seen += 1;
            self.edges.push(Edge {
                source: end(source, row),
                target: end(target, row),
                groups: [group(0, row), group(1, row)],
                weight: weight.number(row).unwrap_or(0.0),
                shown: if weight.is_null(row) {
                    "0".to_owned()
                } else {
                    weight.text(row)
                },
            });
            if self.edges.len() >= 4 * SHOWN_EDGES {
                self.keep_heaviest();
            }
        }
        Ok(())
    }

    fn missed(&mut self, missed: &Missed) {
        self.missed = missed.clone();
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.keep_heaviest();
        match self.format {
            Format::Dot => self.write_dot()?,
            Format::Json => self.write_json()?,
            _ => self.write_text()?,
        }
        Ok(self.out.flush()?)
    }

    fn notes(&self) -> Vec<String> {
        let hidden = self.seen.saturating_sub(self.edges.len() as u64);
        if hidden == 0 {
            return Vec::new();
        }
        vec![format!(
            "only the {SHOWN_EDGES} heaviest of {} edges are shown; tsv has them all",
            self.seen
        )]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;
    use crate::render::testing::{Answer, ips, render};
    use crate::shape::Shape;
    use crate::types::EvType;

    const SAMPLE: fn() -> Answer = || {
        let targets: ArrayRef = Arc::new(StringArray::from(vec![
            Some("web \"1\"\u{1b}[2J"),
            None,
            Some("10.0.0.1"),
        ]));
        let groups: ArrayRef = Arc::new(StringArray::from(vec![Some("lan"), None, Some("lan")]));
        let none: ArrayRef = Arc::new(StringArray::from(vec![None, None, Some("wan")]));
        let weights: ArrayRef = Arc::new(Int64Array::from(vec![3, 9_007_199_254_740_993, 5]));
        Answer::new(
            Shape::Fdg,
            vec![
                (
                    "SrcIP",
                    EvType::Ip,
                    ips(&[Some("10.0.0.1"), Some("fe80::1"), Some("10.0.0.9")]),
                ),
                ("host", EvType::String, targets),
                ("sum", EvType::Int64, weights),
                ("g", EvType::String, groups),
                ("h", EvType::String, none),
            ],
        )
    };

    #[test]
    fn text_is_sorted_by_weight() {
        assert_eq!(
            render(SAMPLE, Format::Text),
            "fe80::1 -> (none) 9007199254740993\n10.0.0.9 -> 10.0.0.1 5\n\
             10.0.0.1 -> web \"1\".[2J 3\n"
        );
    }

    #[test]
    fn dot_is_quoted() {
        assert_eq!(
            render(SAMPLE, Format::Dot),
            "digraph flowsift {\n  node [shape=box, style=rounded];\n  \"fe80::1\";\n  \
             \"(none)\";\n  \"10.0.0.9\" [group=\"lan\"];\n  \"10.0.0.1\" [group=\"wan\"];\n  \
             \"web \\\"1\\\".[2J\";\n  \
             \"fe80::1\" -> \"(none)\" [label=\"9007199254740993\", penwidth=5.00];\n  \
             \"10.0.0.9\" -> \"10.0.0.1\" [label=\"5\", penwidth=1.00];\n  \
             \"10.0.0.1\" -> \"web \\\"1\\\".[2J\" [label=\"3\", penwidth=1.00];\n}\n"
        );
    }

    #[test]
    fn json_has_nodes_links_and_groups() {
        let text = render(SAMPLE, Format::Json);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["missed"]["damaged"], serde_json::json!([]));
        let mut json = json;
        json.as_object_mut().unwrap().remove("missed");
        let expected = serde_json::json!({
            "nodes": [
                {"id": 0, "name": "fe80::1", "group": null},
                {"id": 1, "name": "(none)", "group": null},
                {"id": 2, "name": "10.0.0.9", "group": 0},
                {"id": 3, "name": "10.0.0.1", "group": 1},
                {"id": 4, "name": "web \"1\"\u{1b}[2J", "group": null},
            ],
            "links": [
                {"source": 0, "target": 1, "value": 9_007_199_254_740_993_i64},
                {"source": 2, "target": 3, "value": 5},
                {"source": 3, "target": 4, "value": 3},
            ],
            "groups": ["lan", "wan"],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn too_many_edges_are_cut_with_a_note() {
        let count = 10_000;
        let names = || -> ArrayRef {
            Arc::new(StringArray::from_iter_values(
                (0..count).map(|n| format!("n{n}")),
            ))
        };
        let weights: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        let answer = Answer::new(
            Shape::Fdg,
            vec![
                ("a", EvType::String, names()),
                ("b", EvType::String, names()),
                ("w", EvType::Int64, weights),
            ],
        );
        let (bytes, notes) = answer.bytes(Format::Text, RenderOptions::default());
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), SHOWN_EDGES);
        assert!(text.starts_with("n9999 -> n9999 9999\n"));
        assert_eq!(
            notes,
            ["only the 2000 heaviest of 10000 edges are shown; tsv has them all"]
        );
    }
}
