//! Making diagnostics, and guessing what a misspelt name was meant to be.

use crate::lang::diagnostic::{Diagnostic, Span};
use crate::spelling::distance;

/// What reading something of a stage gives; the error stops the stage, not the query.
pub(crate) type Outcome<T = ()> = Result<T, Diagnostic>;

/// An error at a place.
pub(crate) fn error(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(span, message)
}

/// A warning at a place.
pub(crate) fn warning(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning(span, message)
}

/// The same with a hint.
pub(crate) fn hinted(diagnostic: Diagnostic, hint: impl Into<String>) -> Diagnostic {
    diagnostic.with_hint(hint)
}

/// The candidate that differs least from a name, if it differs little.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match name.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= allowed && distance < candidate.len())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        let names = ["SrcIP", "DstIP", "SrcPort", "DstPort", "count", "by"];
        for (typed, expected) in [
            ("SrcIp", Some("SrcIP")),
            ("DstPrt", Some("DstPort")),
            ("conut", Some("count")),
            ("SrcPorts", Some("SrcPort")),
            ("Payload", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), expected, "{typed}");
        }
    }
}
