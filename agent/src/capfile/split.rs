//! Finding places in a large capture where a record surely starts, so that threads share it.
//!
//! A packet may hold a capture itself, so one believable record header proves nothing. But the
//! true records form a chain that passes every place, and its next link starts less than a
//! longest record behind that place. So all chains from there are followed: the true one is
//! among them, the others end at the first unbelievable header or merge into it. When all that
//! are left pass through one header, that is a true one. The readers check it nevertheless
//! (see [`super::Part`]), for the true chain may be broken where a file is damaged.

use std::io::{self, ErrorKind, Read};

use super::{
    Error, Input,
    pcap::Pcap,
    pcapng,
    reader::{self, Format},
    source::StoreReader,
};

/// A part is at least so long, in bytes: less is read sooner than a thread starts.
const MIN_PART: u64 = 2 << 20;
/// Bytes behind a place in which all chains must have merged, at first and at most.
const FIRST_VIEW: usize = 1 << 20;
const LAST_VIEW: usize = 8 << 20;
/// Bytes that tell whether a record starts at a place: a pcap record header, or the start of a
/// pcapng block.
const HEAD: usize = 16;

/// Offsets at which parts start, of which the first is 0, and what the start of the file said
/// (`None` if there is but one part).
pub(super) fn starts(input: &Input, parts: usize) -> Result<(Vec<u64>, Option<Format>), Error> {
    let mut starts = vec![0];
    let size = input.length();
    let parts = (parts as u64).min(size / MIN_PART);
    let failed = |source| Error::io("read", input.name(), source);
    if parts < 2
        || reader::compression(input.store())
            .map_err(failed)?
            .is_some()
    {
        return Ok((starts, None));
    }
    let Some((first, format)) = start_of_frames(input)? else {
        return Ok((starts, None));
    };
    for part in 1..parts {
        // Multiplied last: part * size may not fit.
        let place = first.max(size / parts * part);
        let last = starts.last().copied().unwrap_or(0);
        let found = boundary(input, &format, place).map_err(failed)?;
        starts.extend(found.filter(|at| *at > last && *at < size));
    }
    Ok((starts, Some(format)))
}

/// Where the frames begin, and the format with what its readers must know from there on.
fn start_of_frames(input: &Input) -> Result<Option<(u64, Format)>, Error> {
    let mut reader = input.open()?;
    let first = reader.next_frame().map(|frame| frame.offset);
    let sound = reader.warnings().is_empty();
    Ok(first.filter(|_| sound).map(|at| (at, reader.into_format())))
}

/// A record that starts at `place` or behind it, if one is surely found.
fn boundary(input: &Input, format: &Format, place: u64) -> io::Result<Option<u64>> {
    let mut view = FIRST_VIEW;
    while view <= LAST_VIEW {
        let mut bytes = Vec::with_capacity(view);
        let read = StoreReader::open(input.store(), place, u64::MAX)?
            .take(view as u64)
            .read_to_end(&mut bytes);
        match read {
            // Whoever reads the frames says where they are damaged.
            Err(e) if e.kind() == ErrorKind::InvalidData => return Ok(None),
            other => other?,
        };
        let found = match format {
            Format::Pcap(pcap) => merged_chain(&bytes, pcap.longest_record(), |at| {
                pcap_record(pcap, &bytes, at)
            }),
            Format::Pcapng(pcapng) => merged_chain(&bytes, pcapng::LONGEST_SEARCHED, |at| {
                pcapng.believable_block(&bytes, at)
            }),
            Format::Unreadable => return Ok(None),
        };
        if let Some(at) = found {
            return Ok(Some(place + at as u64));
        }
        if bytes.len() < view {
            return Ok(None);
        }
        view *= 2;
    }
    Ok(None)
}

/// Length of the record whose header is at `at`, if that looks like a header.
fn pcap_record(pcap: &Pcap, bytes: &[u8], at: usize) -> Option<usize> {
    let header = pcap.header(bytes.get(at..)?.first_chunk()?);
    pcap.plausible(header)
        .then(|| pcap.record_header + header.captured as usize)
}

/// The place through which all chains pass that start within the first `longest` bytes and leave
/// the view. `length` gives the length of the record at a place that looks like one.
fn merged_chain(
    bytes: &[u8],
    longest: usize,
    length: impl Fn(usize) -> Option<usize>,
) -> Option<usize> {
    if bytes.len() <= longest * 2 {
        return None;
    }
    // Whether a chain has a link here: it may start anywhere in the first stretch.
    let mut link = vec![false; bytes.len()];
    link.get_mut(..longest)?.fill(true);
    let mut only = None;
    for at in 0..bytes.len() {
        if !*link.get(at)? {
            continue;
        }
        let Some(next) = length(at).map(|n| at.saturating_add(n)) else {
            // A header that is not in view as a whole: its chain may go on.
            if bytes.len() - at < HEAD {
                only = join(only, at)?;
            }
            continue;
        };
        match link.get_mut(next) {
            Some(link) => *link = true,
            None => only = join(only, at)?,
        }
    }
    // One that starts in the first stretch may not be a link of any chain.
    only.filter(|at| *at >= longest)
}

/// The one way out of the view; none if there are two.
fn join(only: Option<usize>, at: usize) -> Option<Option<usize>> {
    match only {
        None => Some(Some(at)),
        Some(_) => None,
    }
}
