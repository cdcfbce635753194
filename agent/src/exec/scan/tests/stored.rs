//! The law of sidecars: a scan makes the same rows, and counts the same, of tuples a column at a
//! time, of the packets that tuples do not rule out, and of all packets of the capture file.

use std::fs;
use std::path::PathBuf;

use datafusion::arrow::compute::concat_batches;

use super::*;
use crate::exec::scan::column_name;
use crate::plan::pipeline::SourceColumn;
use crate::store::sidecar::{self, Sidecar};
use crate::store::{RecordBlock, SourceWriter, WriterOptions};

/// Rows of a row group: many groups, and a last one that is not full.
const ROWS: usize = 37;

/// The captures of [`inputs`] in a store: its capture files, each of one link type.
struct Stored {
    /// Removed at the end.
    _folder: tempfile::TempDir,
    captures: Vec<PathBuf>,
    runtime: Runtime,
    context: SessionContext,
}

static STORED: LazyLock<Stored> = LazyLock::new(Stored::new);

impl Stored {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("pcap/lan0");
        fs::create_dir_all(&source).unwrap();
        let now = 1_795_543_200_000_000_000;
        let (mut writer, _) = SourceWriter::open(&source, WriterOptions::default(), now).unwrap();
        let mut block = RecordBlock::default();
        for input in inputs() {
            let mut frames = input.open().unwrap();
            while let Some(frame) = frames.next_frame() {
                writer.set_link_type(frame.link_type);
                block.clear();
                block.push(frame.time_ns.unwrap_or(0), frame.wire_len, frame.data);
                writer.append(&block);
            }
        }
        let (closed, ..) = writer.close(now);
        let captures: Vec<PathBuf> = closed.into_iter().filter_map(|file| file.path).collect();
        for capture in &captures {
            sidecar::build(capture, ROWS).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let config = SessionConfig::new().with_target_partitions(1);
        Self {
            _folder: folder,
            captures,
            runtime: runtime.unwrap(),
            context: SessionContext::new_with_config(config),
        }
    }

    fn files(&self, sidecars: bool) -> Vec<ScanFile> {
        let spec = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let file = |path: &PathBuf| {
            let input = capfile::discover(&[spec(path)]).unwrap().remove(0);
            ScanFile {
                input: input.with_interface("lan0"),
                tag: "pcap".into(),
                stored: true,
                sidecar: sidecars.then(|| path.with_extension("parquet")),
                tuples: None,
            }
        };
        self.captures.iter().map(file).collect()
    }

    /// The rows of these columns that a filter keeps, and what the scan counted.
    fn scan(&self, scan: &Asked<'_>, sidecars: bool) -> (RecordBatch, Arc<ScanReport>) {
        let report = Arc::new(ScanReport::default());
        let options = ScanOptions {
            partitions: 1,
            time_range: scan.time_range,
            split: scan.limit.is_none(),
            ..ScanOptions::default()
        };
        let files = self.files(sidecars);
        let table: Arc<dyn TableProvider> = Arc::new(CaptureTable::new(
            files,
            scan.columns.to_vec(),
            options,
            Arc::clone(&report),
        ));
        let state = self.context.state();
        let filters = [scan.filter.clone()];
        let batches = self.runtime.block_on(async {
            let plan = table.scan(&state, None, &filters, scan.limit);
            collect(plan.await.unwrap(), self.context.task_ctx()).await
        });
        let rows = concat_batches(&table.schema(), &batches.unwrap()).unwrap();
        (rows, report)
    }
}

/// A scan.
#[derive(Debug)]
struct Asked<'a> {
    columns: &'a [SourceColumn],
    filter: Expr,
    time_range: Option<(i64, i64)>,
    limit: Option<usize>,
}

/// All columns that tuples have, and some that are the same in all rows.
fn covered_columns() -> Vec<SourceColumn> {
    let fields = 0..u16::try_from(decode::fields().len()).unwrap();
    let covered = fields.filter(|field| decode::tuple::covered(*field).is_some());
    let mut columns = vec![
        SourceColumn::Tag,
        SourceColumn::Source,
        SourceColumn::Time,
        SourceColumn::Sequence,
        SourceColumn::WireLength,
        SourceColumn::LinkType,
    ];
    columns.extend(covered.map(|field| SourceColumn::Field {
        field,
        inner: false,
    }));
    columns
}

static COVERED: LazyLock<Vec<SourceColumn>> = LazyLock::new(covered_columns);
static ALL: LazyLock<Vec<SourceColumn>> = LazyLock::new(columns);

/// Domains of the columns that tuples have.
static COVERED_DOMAINS: LazyLock<Vec<Domain>> = LazyLock::new(|| {
    let names: BTreeSet<String> = COVERED.iter().map(column_name).collect();
    let domains = WORLD.domains.iter();
    domains
        .filter(|domain| names.contains(&domain.name))
        .cloned()
        .collect()
});

/// The edges of a time range: about the times of the shipped captures, and far from all.
fn time_range() -> impl Strategy<Value = Option<(i64, i64)>> {
    let times = || {
        let domain = WORLD.domains.iter().find(|domain| domain.name == "@time");
        let mut times: Vec<i64> = domain.map_or(Vec::new(), |domain| {
            let constants = domain.constants.iter();
            let time = |constant: &ScalarValue| match constant {
                ScalarValue::Int64(Some(time)) => Some(*time),
                _ => None,
            };
            constants.filter_map(time).collect()
        });
        times.extend([0, i64::MAX]);
        times
    };
    let pair = (any::<Index>(), any::<Index>());
    proptest::option::of(pair).prop_map(move |pair| {
        let times = times();
        let (a, b) = pair.map(|(a, b)| (*a.get(&times), *b.get(&times)))?;
        Some((a.min(b), a.max(b)))
    })
}

fn check(asked: &Asked<'_>) -> Result<(), TestCaseError> {
    let (expected, of_packets) = STORED.scan(asked, false);
    let (rows, of_tuples) = STORED.scan(asked, true);
    prop_assert_eq!(of_tuples.sidecar_problems(), Vec::<String>::new());
    prop_assert_eq!(rows, expected);
    prop_assert_eq!(of_tuples.rows(), of_packets.rows());
    let read = of_tuples.packets_read();
    prop_assert_eq!(of_tuples.packets_skipped(), read - of_tuples.rows());
    if asked.limit.is_none() {
        let met = read + of_tuples.packets_ruled_out();
        prop_assert_eq!(met, of_packets.packets_read());
    } else if of_tuples.packets_ruled_out() == 0 {
        prop_assert_eq!(read, of_packets.packets_read());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn tuples_by_column_are_the_rows_of_the_packets(
        filter in predicate_on(|| &COVERED_DOMAINS),
        time_range in time_range(),
        limit in proptest::option::of(1..90_usize),
    ) {
        check(&Asked { columns: &COVERED, filter, time_range, limit })?;
    }

    #[test]
    fn packets_that_tuples_do_not_rule_out_are_the_rows(
        covered in condition_on(|| &COVERED_DOMAINS),
        filter in predicate(),
        time_range in time_range(),
        limit in proptest::option::of(1..90_usize),
    ) {
        let filter = covered.and(filter);
        check(&Asked { columns: &ALL, filter, time_range, limit })?;
    }
}

/// Without a filter nothing is ruled out: every count is the same.
#[test]
fn all_counts_are_those_of_the_packets() {
    let mut fragments = 0;
    for time_range in [None, Some((0, i64::MAX)), Some((i64::MIN, 0))] {
        for limit in [None, Some(1), Some(ROWS), Some(ROWS + 1)] {
            let asked = Asked {
                columns: &COVERED,
                filter: lit(true),
                time_range,
                limit,
            };
            let (expected, of_packets) = STORED.scan(&asked, false);
            let (rows, of_tuples) = STORED.scan(&asked, true);
            assert_eq!(rows, expected, "{asked:?}");
            if of_tuples.packets_ruled_out() == 0 {
                let counts = |r: &ScanReport| {
                    let of = [
                        r.packets_read(),
                        r.packets_skipped(),
                        r.rows(),
                        r.portless_fragments(),
                    ];
                    (of, r.unknown_links())
                };
                assert_eq!(counts(&of_tuples), counts(&of_packets), "{asked:?}");
                fragments += of_tuples.portless_fragments();
            }
        }
    }
    assert!(fragments > 0);
}

/// A row group whose bytes are not what they were is read from the capture file, whichever
/// column it is that was changed.
#[test]
fn a_damaged_row_group_is_read_from_the_capture_file() {
    let asked = |filter| Asked {
        columns: &COVERED,
        filter,
        time_range: None,
        limit: None,
    };
    let some = Expr::Column(Column::from_name("tcp.DstPort")).is_not_null();
    let capture = STORED
        .captures
        .iter()
        .max_by_key(|path| fs::metadata(path.with_extension("parquet")).unwrap().len());
    let capture = capture.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(capture.file_name().unwrap());
    fs::copy(capture, &copy).unwrap();
    let whole = fs::read(capture.with_extension("parquet")).unwrap();
    fs::write(copy.with_extension("parquet"), &whole).unwrap();
    let length = fs::metadata(&copy).unwrap().len();
    let sidecar = Sidecar::open(&copy.with_extension("parquet"), length).unwrap();
    let group = sidecar.groups() / 2;
    let stored = Stored {
        _folder: folder,
        captures: vec![copy.clone()],
        runtime: tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap(),
        context: SessionContext::new(),
    };
    // What only the answer needs is not read of a row group in which nothing is left.
    for (filter, least) in [(lit(true), 1), (some, 0)] {
        let (expected, _) = stored.scan(&asked(filter.clone()), false);
        assert!(expected.num_rows() > ROWS);
        for column in sidecar::Column::ALL {
            let chunk = sidecar.metadata().row_group(group).column(column.index());
            let (start, bytes) = chunk.byte_range();
            let mut damaged = whole.clone();
            damaged[usize::try_from(start + bytes / 2).unwrap()] ^= 0x40;
            fs::write(copy.with_extension("parquet"), damaged).unwrap();
            let (rows, report) = stored.scan(&asked(filter.clone()), true);
            assert_eq!(rows, expected, "{}", column.name());
            let told = report.sidecar_problems().len();
            assert!((least..=1).contains(&told), "{}: {told}", column.name());
            let met = report.packets_read() + report.packets_ruled_out();
            assert_eq!(met, sidecar.packets, "{}", column.name());
        }
    }
}
