//! Memory of a process and its children that is its own: neither files nor the kernel's rings.

use std::fs;

/// `RssAnon` of a process and of its descendants, in bytes; of those that are gone, nothing.
pub(super) fn anonymous_bytes(pid: u32) -> u64 {
    let own = fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|text| anonymous_of(&text))
        .unwrap_or(0);
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let children = tasks.into_iter().flatten().flatten().flat_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect::<Vec<u32>>()
    });
    own + children.map(anonymous_bytes).sum::<u64>()
}

fn anonymous_of(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_in_units_of_1024_bytes() {
        let status = "VmRSS:\t 9000 kB\nRssAnon:\t    300 kB\nRssFile:\t 8700 kB\n";
        assert_eq!(anonymous_of(status), Some(307_200));
        assert_eq!(anonymous_of("Name: kthreadd\n"), None);
        assert!(anonymous_bytes(std::process::id()) > 100_000);
    }
}
