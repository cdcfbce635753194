//! The law of pushed filters: the scan keeps a packet if and only if the engine's own filter over
//! the same columns keeps its row, nulls included.

mod stored;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, UInt64Type};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::runtime::Runtime;

use super::{CaptureTable, ScanFile, ScanOptions, ScanReport};
use crate::capfile;
use crate::decode;
use crate::exec::functions::in_subnet::InSubnet;
use crate::exec::types::IP_BYTES;
use crate::plan::pipeline::{SourceColumn, Subnet};

const SEQUENCE: &str = "@sequence";

/// Constants of a column that are tried, of those that occur in it.
const CONSTANTS: usize = 48;

/// A column and the constants that it is compared with.
#[derive(Clone, Debug)]
struct Domain {
    name: String,
    ty: DataType,
    constants: Vec<ScalarValue>,
}

/// The frames of the shipped captures twice: as a table that filters are pushed into, and as
/// rows in memory.
struct World {
    runtime: Runtime,
    context: SessionContext,
    scanned: Arc<dyn TableProvider>,
    rows: Arc<dyn TableProvider>,
    /// Columns that have a value somewhere.
    domains: Vec<Domain>,
    packets: usize,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let scanned: Arc<dyn TableProvider> = Arc::new(CaptureTable::new(
            ScanFile::tagged(inputs(), "pcap"),
            columns(),
            ScanOptions {
                partitions: 2,
                ..ScanOptions::default()
            },
            Arc::new(ScanReport::default()),
        ));
        let batches = runtime.block_on(async {
            let table = context.read_table(Arc::clone(&scanned)).unwrap();
            table.collect().await.unwrap()
        });
        let rows = MemTable::try_new(scanned.schema(), vec![batches.clone()]).unwrap();
        Self {
            runtime,
            context,
            domains: domains(&batches),
            packets: batches.iter().map(RecordBatch::num_rows).sum(),
            scanned,
            rows: Arc::new(rows),
        }
    }

    /// The packets that a filter keeps, by sequence number, and whether the engine filtered.
    fn kept(&self, table: &Arc<dyn TableProvider>, filter: &Expr) -> (BTreeSet<u64>, bool) {
        self.runtime.block_on(async {
            let frame = self.context.read_table(Arc::clone(table)).unwrap();
            let frame = frame.filter(filter.clone()).unwrap();
            let sequence = Expr::Column(Column::from_name(SEQUENCE));
            let frame = frame.select(vec![sequence]).unwrap();
            let plan = frame.create_physical_plan().await.unwrap();
            let filtered = has_filter(plan.as_ref());
            let batches = collect(plan, self.context.task_ctx()).await.unwrap();
            let numbers = batches.iter().flat_map(|batch| {
                let column = batch.column(0).as_primitive::<UInt64Type>();
                column.values().to_vec()
            });
            (numbers.collect(), filtered)
        })
    }
}

fn has_filter(plan: &dyn ExecutionPlan) -> bool {
    plan.name() == "FilterExec" || plan.children().iter().any(|p| has_filter(p.as_ref()))
}

/// The smaller captures: every link type, every protocol, damaged ones; about 500 packets.
fn inputs() -> Vec<capfile::Input> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures");
    let folders = ["protocols", "linktypes", "malformed", "pcapng"];
    let paths = folders.map(|folder| root.join(folder).to_str().unwrap().to_owned());
    let mut inputs = capfile::discover(&paths).unwrap();
    inputs.retain(|input| input.open().is_ok());
    inputs
}

/// Every column that a query can have, of the outer and of the inner packet.
fn columns() -> Vec<SourceColumn> {
    let fields = 0..u16::try_from(decode::fields().len()).unwrap();
    let mut columns = vec![
        SourceColumn::Time,
        SourceColumn::Sequence,
        SourceColumn::Data,
        SourceColumn::WireLength,
        SourceColumn::LinkType,
    ];
    for inner in [false, true] {
        columns.extend(
            fields
                .clone()
                .map(|field| SourceColumn::Field { field, inner }),
        );
    }
    columns
}

fn domains(batches: &[RecordBatch]) -> Vec<Domain> {
    let schema = batches[0].schema();
    let fields = schema.fields().iter().enumerate();
    let domain = |(column, field): (usize, &Arc<datafusion::arrow::datatypes::Field>)| {
        let mut constants = Vec::new();
        for batch in batches {
            let array = batch.column(column);
            for row in (0..batch.num_rows()).filter(|&row| array.is_valid(row)) {
                let value = ScalarValue::try_from_array(array, row).unwrap();
                if constants.len() < CONSTANTS && !constants.contains(&value) {
                    constants.push(value);
                }
            }
        }
        let occurs = !constants.is_empty();
        constants.extend(edges(field.data_type()));
        occurs.then(|| Domain {
            name: field.name().clone(),
            ty: field.data_type().clone(),
            constants,
        })
    };
    fields.filter_map(domain).collect()
}

/// Edge values of a type, and constants of a wider one that the engine casts the column to.
fn edges(ty: &DataType) -> Vec<ScalarValue> {
    let wide =
        || [-1, 0, 255, 256, 65_536, i64::MAX, i64::MIN].map(|n| ScalarValue::Int64(Some(n)));
    let mut edges = match ty {
        DataType::UInt8 => vec![
            ScalarValue::UInt8(Some(0)),
            ScalarValue::UInt8(Some(u8::MAX)),
        ],
        DataType::UInt16 => vec![
            ScalarValue::UInt16(Some(0)),
            ScalarValue::UInt16(Some(u16::MAX)),
        ],
        DataType::UInt32 => vec![
            ScalarValue::UInt32(Some(0)),
            ScalarValue::UInt32(Some(u32::MAX)),
        ],
        DataType::UInt64 => vec![
            ScalarValue::UInt64(Some(0)),
            ScalarValue::UInt64(Some(u64::MAX)),
        ],
        DataType::Boolean => vec![true.into(), false.into()],
        DataType::Utf8 => ["", "\0", "z", "\u{10ffff}"]
            .map(ScalarValue::from)
            .to_vec(),
        DataType::Binary => [vec![], vec![0], vec![0xff; 9]]
            .map(|bytes| ScalarValue::Binary(Some(bytes)))
            .to_vec(),
        DataType::FixedSizeBinary(IP_BYTES) => [vec![0; 16], vec![0xff; 16]]
            .map(|bytes| ScalarValue::FixedSizeBinary(IP_BYTES, Some(bytes)))
            .to_vec(),
        _ => vec![],
    };
    match ty {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::Int64 => {
            edges.extend(wide());
        }
        _ => {}
    }
    edges
}

const COMPARISONS: [Operator; 6] = [
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
];

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The network of so many bits around an address constant, if the constant is one.
fn network(address: &ScalarValue, bits: u8) -> Option<Subnet> {
    Some(match address {
        ScalarValue::UInt32(Some(v4)) => Subnet {
            network: std::net::Ipv4Addr::from(*v4).to_ipv6_mapped().octets(),
            prefix: 96 + bits % 33,
        },
        ScalarValue::FixedSizeBinary(IP_BYTES, Some(bytes)) => Subnet {
            network: bytes.as_slice().try_into().ok()?,
            prefix: bits % 129,
        },
        _ => return None,
    })
}

/// A condition on one of these columns: a form, an operator, constants and their number.
fn condition_on(domains: fn() -> &'static [Domain]) -> impl Strategy<Value = Expr> {
    let domain = any::<Index>().prop_map(move |at| at.get(domains()).clone());
    let constants = proptest::collection::vec(any::<Index>(), 2..5);
    let parts = (domain, 0..8_u8, select(&COMPARISONS[..]), constants);
    (parts, any::<bool>(), any::<u8>()).prop_map(|((domain, form, op, at), negated, bits)| {
        let column = || Expr::Column(Column::from_name(&domain.name));
        let constants: Vec<ScalarValue> = at
            .iter()
            .map(|at| at.get(&domain.constants).clone())
            .collect();
        let first = || Expr::Literal(constants[0].clone(), None);
        let second = || Expr::Literal(constants[1].clone(), None);
        let networks: Option<Vec<Subnet>> = constants.iter().map(|c| network(c, bits)).collect();
        match (form, networks) {
            (0, _) if negated => column().is_null(),
            (0, _) => column().is_not_null(),
            (1, _) if negated => column().not_between(first(), second()),
            (1, _) => column().between(first(), second()),
            (2, _) => {
                let list = constants.iter().map(|c| Expr::Literal(c.clone(), None));
                column().in_list(list.collect(), negated)
            }
            (3 | 4, Some(networks)) => InSubnet::call(column(), networks),
            (3 | 4, _) if domain.ty == DataType::Boolean => column(),
            (5, _) => binary(first(), op, column()),
            _ => binary(column(), op, first()),
        }
    })
}

fn predicate() -> impl Strategy<Value = Expr> {
    predicate_on(|| &WORLD.domains)
}

fn predicate_on(domains: fn() -> &'static [Domain]) -> impl Strategy<Value = Expr> {
    let constant = prop_oneof![
        Just(lit(true)),
        Just(lit(false)),
        Just(lit(ScalarValue::Boolean(None)))
    ];
    let leaf = prop_oneof![12 => condition_on(domains), 1 => constant];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            3 => inner.clone().prop_map(|a| Expr::Not(Box::new(a))),
            4 => (inner, 0..8_u8).prop_map(|(a, form)| match form {
                0 => a.is_null(),
                1 => a.is_not_null(),
                2 => a.is_true(),
                3 => a.is_not_true(),
                4 => a.is_false(),
                5 => a.is_not_false(),
                6 => a.is_unknown(),
                _ => a.is_not_unknown(),
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn pushed_filters_keep_the_rows_that_the_engines_filters_keep(filter in predicate()) {
        let (pushed, left) = WORLD.kept(&WORLD.scanned, &filter);
        let (expected, _) = WORLD.kept(&WORLD.rows, &filter);
        prop_assert!(!left, "not pushed whole: {filter}");
        prop_assert_eq!(pushed, expected);
    }
}

/// What the law is tried on has every type of value, and both sorts of packet.
#[test]
fn the_law_is_tried_on_every_type() {
    assert!(WORLD.packets > 400, "{} packets", WORLD.packets);
    let types: BTreeSet<String> = WORLD.domains.iter().map(|d| d.ty.to_string()).collect();
    for field in WORLD.scanned.schema().fields() {
        let ty = field.data_type().to_string();
        assert!(types.contains(&ty), "no value of type {ty}");
    }
    let (inner, outer): (Vec<_>, Vec<_>) = WORLD
        .domains
        .iter()
        .partition(|d| d.name.starts_with("inner."));
    assert!(inner.len() > 50, "{} columns of inner packets", inner.len());
    assert!(outer.len() > 90, "{} columns of outer packets", outer.len());
}
