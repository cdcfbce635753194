//! On how many processors packets may arrive.

use std::fs;

/// Those that are switched on, whatever this process may use itself: packets are handled on the
/// processors that their interrupts go to.
pub(super) fn online() -> usize {
    let listed = fs::read_to_string("/sys/devices/system/cpu/online");
    listed
        .ok()
        .and_then(|list| count(&list))
        .unwrap_or_else(|| {
            // Where that is not mounted.
            std::thread::available_parallelism().map_or(1, usize::from)
        })
}

/// How many numbers are in a list as the kernel prints them: `0-3,8`.
fn count(list: &str) -> Option<usize> {
    let mut count = 0;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_processors_is_counted() {
        assert_eq!(count("0-3,8,10-11\n"), Some(7));
        assert_eq!(count("0\n"), Some(1));
        assert_eq!(count("3-1"), None);
        assert_eq!(count(""), None);
        assert!(online() > 0);
    }
}
