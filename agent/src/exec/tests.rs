//! Whole queries over a table in memory.

mod laws;
mod limits;

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray, UInt16Array,
    UInt32Array, UInt64Array, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;

use super::engine::Engine;
use super::lower::{TimeRange, lower};
use super::types::arrow_type;
use super::{Error, RunOptions};
use crate::plan::pipeline::{Pipeline, SourceColumn};
use crate::shape::Shape;

/// A packet: time in milliseconds, source, destination, port.
type Packet = (i64, u32, u32, Option<u16>);

const A: u32 = 0x0a00_0001;
const B: u32 = 0x0a00_0002;
const X: u32 = 0x0808_0801;
const Y: u32 = 0x0808_0802;
const Z: u32 = 0x0808_0803;

/// The worked example of the query language.
const EXAMPLE: [Packet; 7] = [
    (100, A, X, Some(443)),
    (200, A, X, Some(443)),
    (500, A, Y, Some(6881)),
    (1100, A, X, Some(443)),
    (1200, B, X, Some(443)),
    (1900, A, Z, Some(6881)),
    (1950, A, Z, Some(6881)),
];

fn pipeline(query: &str) -> Pipeline {
    let (tree, diagnostics) = crate::lang::parse(query);
    let tree = tree.unwrap_or_else(|| panic!("{query}: {diagnostics:?}"));
    crate::plan::resolve(&tree).unwrap_or_else(|errors| panic!("{query}: {errors:?}"))
}

fn column_name(column: &SourceColumn) -> String {
    format!("{column:?}")
}

fn source_values(name: &str, ty: &DataType, packets: &[Packet]) -> ArrayRef {
    let address = |addresses: Vec<u32>| -> ArrayRef {
        if *ty == DataType::UInt32 {
            return Arc::new(UInt32Array::from(addresses));
        }
        let mapped = addresses.into_iter().map(super::functions::to_mapped);
        Arc::new(FixedSizeBinaryArray::try_from_iter(mapped).unwrap())
    };
    match name {
        "TIMESTAMP" => Arc::new(Int64Array::from_iter_values(
            packets.iter().map(|p| p.0 * 1_000_000),
        )),
        "SrcIP" => address(packets.iter().map(|p| p.1).collect()),
        "DstIP" => address(packets.iter().map(|p| p.2).collect()),
        // Entries of two tags.
        "TAG" => Arc::new(StringArray::from_iter_values(
            packets
                .iter()
                .map(|p| if p.3 == Some(443) { "web" } else { "torrent" }),
        )),
        "DstPort" => Arc::new(packets.iter().map(|p| p.3).collect::<UInt16Array>()),
        _ => new_null_array(ty, packets.len()),
    }
}

fn table(pipeline: &Pipeline, packets: &[Packet]) -> Arc<MemTable> {
    let columns: Vec<_> = pipeline
        .source
        .iter()
        .map(|(id, source)| (source, &pipeline.columns[id.0 as usize]))
        .collect();
    let mut fields: Vec<_> = columns
        .iter()
        .map(|(source, column)| Field::new(column_name(source), arrow_type(column.ty), true))
        .collect();
    fields.push(Field::new("entry", DataType::Boolean, true));
    let schema = Arc::new(Schema::new(fields));
    // Two partitions, so that partial results are merged.
    let halves = packets.split_at(packets.len() / 2);
    let batch = |packets: &[Packet], skipped: usize| {
        let values = columns.iter().map(|(source, column)| match source {
            SourceColumn::Sequence => Arc::new(UInt64Array::from_iter_values(
                (skipped as u64..).take(packets.len()),
            )),
            _ => source_values(&column.name, &arrow_type(column.ty), packets),
        });
        let values = values.chain([new_null_array(&DataType::Boolean, packets.len())]);
        RecordBatch::try_new(Arc::clone(&schema), values.collect()).unwrap()
    };
    let partitions = vec![
        vec![batch(halves.0, 0)],
        vec![batch(halves.1, halves.0.len())],
    ];
    Arc::new(MemTable::try_new(schema, partitions).unwrap())
}

fn options() -> RunOptions {
    RunOptions {
        partitions: 2,
        ..RunOptions::default()
    }
}

fn try_run(
    query: &str,
    packets: &[Packet],
    options: &RunOptions,
) -> Result<(Shape, Vec<String>), Error> {
    let (shape, rows, _) = run_and_count(query, packets, options)?;
    Ok((shape, rows))
}

/// How often a plan and what is below it spilled.
fn spills(plan: &dyn ExecutionPlan) -> usize {
    let own = plan.metrics().and_then(|metrics| metrics.spill_count());
    let below = plan.children().into_iter();
    own.unwrap_or(0) + below.map(|plan| spills(plan.as_ref())).sum::<usize>()
}

/// The answer, and how often the query spilled.
fn run_and_count(
    query: &str,
    packets: &[Packet],
    options: &RunOptions,
) -> Result<(Shape, Vec<String>, usize), Error> {
    let pipeline = pipeline(query);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let lowered = lower(
            &pipeline,
            table(&pipeline, packets),
            column_name,
            TimeRange::default(),
            0,
        )?;
        let engine = Engine::new(options)?;
        let (_, shape, stream) = engine.run(lowered, TimeRange::default()).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter().map(|column| {
                    if column.is_null(row) {
                        "-".to_owned()
                    } else {
                        array_value_to_string(column, row).unwrap()
                    }
                });
                rows.push(cells.collect::<Vec<_>>().join(" "));
            }
        }
        let plans = engine.plans.list();
        let spilled = plans.iter().map(|plan| spills(plan.as_ref())).sum();
        Ok((shape, rows, spilled))
    })
}

fn run(query: &str) -> (Shape, Vec<String>) {
    try_run(query, &EXAMPLE, &options()).unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn sorted(query: &str) -> Vec<String> {
    let mut rows = run(query).1;
    rows.sort();
    rows
}

const PACKET: &str = "tag=pcap packet ipv4.SrcIP ipv4.DstIP tcp.DstPort";

#[test]
fn the_worked_example_in_a_chart() {
    // Two one-second bins: the values of the example's single bin are their sums.
    let cases = [
        (
            "count by SrcIP,DstIP,DstPort | chart count by SrcIP",
            vec![
                "0 count false A 3",
                "1000000000 count false A 3",
                "1000000000 count false B 1",
            ],
        ),
        (
            "count by SrcIP,DstIP,DstPort | count by SrcIP,DstIP,DstPort | chart count by SrcIP",
            vec![
                "0 count false A 2",
                "1000000000 count false A 2",
                "1000000000 count false B 1",
            ],
        ),
        (
            "count by SrcIP,DstIP,DstPort over 2s | chart count by SrcIP",
            vec!["0 count false A 6", "0 count false B 1"],
        ),
    ];
    for (query, expected) in cases {
        let (shape, rows) = run(&format!("{PACKET} | {query}"));
        let addresses = [(A, "A"), (B, "B")];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|row| {
                addresses
                    .iter()
                    .fold(row.to_owned(), |row, (address, letter)| {
                        row.replace(&format!(" {letter} "), &format!(" {address} "))
                    })
            })
            .collect();
        assert_eq!(rows, expected, "{query}");
        assert!(matches!(shape, Shape::Chart(_)));
    }
}

#[test]
fn the_worked_example_in_tables() {
    let cases = [
        // Condensed.
        (
            "count by SrcIP,DstIP,DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP | table -nt SrcIP count",
            "A 3|B 1",
        ),
        ("count by SrcIP | table -nt SrcIP count", "A 6|B 1"),
        (
            "stats unique_count(DstIP) as u by SrcIP | table -nt SrcIP u",
            "A 3|B 1",
        ),
        (
            "stats unique_count(DstIP) as u unique_count(DstPort) as v count by SrcIP | table -nt SrcIP u v count",
            "A 3 2 6|B 1 1 1",
        ),
        // Windowed and merged again, with every kind of state.
        (
            "stats count by SrcIP over 1s | table SrcIP count",
            "A 6|B 1",
        ),
        (
            "stats unique_count(DstIP) as u by SrcIP over 1s | table SrcIP u",
            "A 3|B 1",
        ),
        (
            "stats mean(DstPort) as m by SrcIP over 1s | table SrcIP m",
            "A 3662.0|B 443.0",
        ),
        (
            "stats variance(DstPort) as v by SrcIP over 1s | table SrcIP v",
            "A 10361961.0|B 0.0",
        ),
        (
            "stats max(DstPort) as x min(DstPort) as n by SrcIP over 1s | table SrcIP x n",
            "A 6881 443|B 443 443",
        ),
        (
            "count by SrcIP,DstIP,DstPort over 1s | stats variance(count) as v by SrcIP over 2s | table SrcIP v",
            "A 0.25|B 0.0",
        ),
    ];
    for (query, expected) in cases {
        let mut expected: Vec<_> = expected
            .split('|')
            .map(|row| {
                row.replace('A', &A.to_string())
                    .replace('B', &B.to_string())
            })
            .collect();
        expected.sort();
        assert_eq!(sorted(&format!("{PACKET} | {query}")), expected, "{query}");
    }
}

#[test]
fn an_absent_key_is_a_group() {
    let packets = [(0, A, X, None), (1, A, X, Some(1)), (2, A, Y, None)];
    let query = format!("{PACKET} | count by DstPort | table -nt DstPort count");
    let (_, mut rows) = try_run(&query, &packets, &options()).unwrap();
    rows.sort();
    assert_eq!(rows, ["- 2", "1 1"]);
}

#[test]
fn sorting_and_limits() {
    let query =
        format!("{PACKET} | count by DstIP | sort by count desc | limit 2 | table -nt DstIP count");
    assert_eq!(run(&query).1, [format!("{X} 4"), format!("{Z} 2")]);
}

#[test]
fn no_entries_give_no_row() {
    let query = format!("{PACKET} | count | table -nt count");
    assert_eq!(
        try_run(&query, &[], &options()).unwrap().1,
        Vec::<String>::new()
    );
    assert_eq!(run(&query).1, ["7"]);
}

#[test]
fn a_stage_for_a_tag_leaves_other_entries_alone() {
    let cases = [
        // The filter holds for one tag, the new value replaces that of this tag.
        (
            "tag=web packet ipv4.SrcIP == 10.0.0.2 as own ipv4.DstIP as SrcIP",
            vec![
                "10.0.0.1 6881 torrent",
                "10.0.0.1 6881 torrent",
                "10.0.0.1 6881 torrent",
                "8.8.8.1 443 web",
            ],
        ),
        // No entry has the tag.
        (
            "eval DstPort == 443 | tag=dns eval DstPort = 53; | limit 2",
            vec!["10.0.0.1 443 web", "10.0.0.2 443 web"],
        ),
        // A pattern, and a type that has to be widened.
        (
            "eval unix(TIMESTAMP) > 0 | tag=w*,dns eval DstPort = 70000;",
            vec![
                "10.0.0.1 6881 torrent",
                "10.0.0.1 6881 torrent",
                "10.0.0.1 70000 web",
                "10.0.0.2 70000 web",
            ],
        ),
    ];
    for (stages, expected) in cases {
        let query = format!(
            "tag=* packet ipv4.SrcIP tcp.DstPort | {stages} | eval shown = printf(\"%v\", SrcIP); | table shown DstPort TAG"
        );
        assert_eq!(sorted(&query), expected, "{stages}");
    }
}
