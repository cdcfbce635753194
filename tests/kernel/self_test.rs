//! The self-test: figures that agree with each other, and nothing left behind.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use flowsift::capture::Settings;
use flowsift::record::self_test::{Plan, SelfTestError, run};

use crate::support::{Kernel, ROOMY, say};

#[test]
fn the_self_test_measures_and_leaves_nothing() {
    if Kernel::load(ROOMY).is_none() {
        return;
    }
    let before = interfaces();
    let folder = tempfile::tempdir().unwrap();
    let report = run(&plan(folder.path(), Arc::default())).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(interfaces(), before);

    assert!(report.costs.least > Duration::ZERO);
    let times: Vec<_> = report.costs.ours.iter().map(|cost| cost.time).collect();
    assert_eq!(times.len(), 3);
    assert!(
        times[2] > times[0],
        "1500 bytes take longer than none: {times:?}"
    );
    assert!(report.disk.unwrap().bytes_per_second > 0.0);
    for rate in report.ring.into_iter().chain(report.both.unwrap()) {
        assert!(rate.packets_per_second > 0.0, "no rate without loss");
    }
    say(&format!("{report:?}"));
}

#[test]
fn a_self_test_that_is_stopped_leaves_nothing() {
    if Kernel::load(ROOMY).is_none() {
        return;
    }
    let before = interfaces();
    let folder = tempfile::tempdir().unwrap();
    let stopped = run(&plan(folder.path(), Arc::new(AtomicBool::new(true))));
    assert!(matches!(stopped, Err(SelfTestError::Stopped)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(interfaces(), before);
}

fn plan(folder: &Path, stop: Arc<AtomicBool>) -> Plan<'_> {
    Plan {
        rings: Settings {
            shards: 2,
            ..Settings::default()
        },
        folder: Some(folder),
        time: Duration::from_millis(200),
        stop,
    }
}

/// The names of this network namespace: those of the test would be new.
fn interfaces() -> Vec<String> {
    let listed = flowsift::capture::list().unwrap();
    let names = listed.into_iter().map(|interface| interface.name);
    names.filter(|name| name.starts_with("probe")).collect()
}
