//! A capture file to scan, and what is known of it beside its bytes.

use std::path::PathBuf;
use std::sync::Arc;

use crate::capfile::Input;
use crate::store::Sidecar;

/// What a query that names no tag reads, under its name in the language.
const DEFAULT_TAG: &str = "default";

/// The tag that stands behind that name.
const PACKETS_TAG: &str = "pcap";

/// A capture file and where it comes from.
#[derive(Clone, Debug)]
pub struct ScanFile {
    /// Its bytes.
    pub input: Input,
    /// The tag of all its packets.
    pub tag: Arc<str>,
    /// Whether it is of a store, whose retention may remove it meanwhile.
    pub stored: bool,
    /// The tuple sidecar of a stored file, valid or not.
    pub sidecar: Option<PathBuf>,
    /// All that there is of packets that were not stored themselves: then the input is not read.
    pub tuples: Option<Arc<Sidecar>>,
}

impl ScanFile {
    /// Files whose packets all carry one tag.
    pub fn tagged(inputs: Vec<Input>, tag: &str) -> Vec<Self> {
        let tag: Arc<str> = tag.into();
        let file = |input| Self {
            input,
            tag: Arc::clone(&tag),
            stored: false,
            sidecar: None,
            tuples: None,
        };
        inputs.into_iter().map(file).collect()
    }

    /// The file, to be read itself.
    #[must_use]
    pub fn without_sidecar(mut self) -> Self {
        self.sidecar = None;
        self
    }

    /// Whether one of these tags, which may hold `*`, is the file's.
    pub fn has_tag(&self, tags: &[String]) -> bool {
        tags.iter().any(|tag| matches_tag(tag, &self.tag))
    }
}

/// Whether a tag of a query, which may hold `*`, is this one.
pub fn matches_tag(wanted: &str, tag: &str) -> bool {
    wanted == DEFAULT_TAG && tag == PACKETS_TAG || matches_glob(wanted.as_bytes(), tag.as_bytes())
}

fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    // The place behind the last `*`, and how much of the text that star covers.
    let (mut p, mut t, mut star) = (0, 0, None);
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(wanted) if wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((behind, covered)) => {
                    *covered += 1;
                    (p, t) = (*behind, *covered);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_stars() {
        for (wanted, tag, expected) in [
            ("pcap", "pcap", true),
            ("pcap", "pcaps", false),
            ("*", "", true),
            ("*", "lan", true),
            ("l*n", "lan", true),
            ("l*n", "lann", true),
            ("l*n", "lanx", false),
            ("*an*", "lan", true),
            ("a*b*c", "axbxbxc", true),
            ("a*b*c", "axbxbx", false),
            ("default", "pcap", true),
            ("default", "lan", false),
        ] {
            assert_eq!(matches_tag(wanted, tag), expected, "{wanted} {tag}");
        }
    }
}
