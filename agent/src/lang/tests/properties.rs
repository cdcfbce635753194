//! Whatever the text: no panic, spans on character boundaries, and text that formats to itself.

use proptest::prelude::*;

use super::dump::dump;
use super::published;
use crate::lang::{format, parse, render};

/// Checks what holds for every text.
fn check(text: &str) {
    let (tree, diagnostics) = parse(text);
    for diagnostic in &diagnostics {
        let span = diagnostic.span;
        assert!(span.start <= span.end, "{diagnostic:?} in {text:?}");
        assert!(
            text.get(span.start..span.end).is_some(),
            "{diagnostic:?} in {text:?}"
        );
        assert!(!diagnostic.message.is_empty());
    }
    assert!(render(&diagnostics, text, false).lines().count() >= 4 * diagnostics.len());
    if diagnostics.iter().any(|d| d.is_error()) {
        return;
    }
    let tree = tree.unwrap_or_else(|| panic!("neither tree nor error: {text:?}"));
    let formatted = format(&tree);
    let (again, diagnostics) = parse(&formatted);
    let again = again.unwrap_or_else(|| panic!("{text:?} -> {formatted:?}: {diagnostics:?}"));
    assert_eq!(
        dump(&tree),
        dump(&again),
        "{text:?} -> {formatted:?}: {diagnostics:?}"
    );
    assert_eq!(formatted, format(&again), "{text:?}");
}

/// Pieces of queries, so that random texts reach deep into the grammar.
const PIECES: [&str; 84] = [
    " ",
    " ",
    " ",
    "\n",
    "|",
    "|",
    "||",
    "tag=",
    "start=",
    "end=",
    "pcap",
    "END-1h",
    "-1h",
    ",",
    "packet",
    "ipv4.SrcIP",
    "tcp.DstPort",
    "count",
    "by",
    "eval ",
    "eval ",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "@in",
    "@in{",
    "};",
    ";",
    ":",
    "/",
    "/24",
    "//",
    "/*",
    "*/",
    "==",
    "=",
    "!=",
    "~",
    "!~",
    "<",
    "<=",
    ">",
    "&",
    "&&",
    "^",
    "+",
    "-",
    "*",
    "%",
    "?",
    "!",
    "++",
    "--",
    "+=",
    "|=",
    "<<",
    "\"",
    "`",
    "\u{201c}",
    "\u{201d}",
    "'",
    "\"x\"",
    "\\",
    "\\x41",
    "\\xff",
    "$(a b)",
    "$",
    "1",
    "0x1f",
    "1.5",
    "08",
    "a",
    "if ",
    "else ",
    "return ",
    "var x",
    "x = 1;",
    "ü",
    "setEnum(\"n\", 1)",
];

#[test]
fn every_prefix_of_the_published_queries() {
    for (_, _, query) in published() {
        for end in (0..=query.len()).filter(|end| query.is_char_boundary(*end)) {
            check(&query[..end]);
        }
    }
}

#[test]
fn deep_and_long_texts() {
    const N: usize = 20_000;
    for text in [
        "(".repeat(N),
        format!("eval {}1", "!".repeat(N)),
        format!("eval {}1", "-(".repeat(N)),
        format!("eval a{}", " + a".repeat(N)),
        format!("eval a{}", " ? a : a".repeat(N)),
        format!("eval a{}", "[0]".repeat(N)),
        format!("eval {}x = 1;", "if (a) ".repeat(N)),
        format!("eval if (a) x = 1;{}", " else if (a) x = 1;".repeat(N)),
        format!("eval {}", "{".repeat(N)),
        // Every level of precedence within every level of nesting: the deepest recursion.
        format!(
            "eval {}1{}",
            "a || a && a | a ^ a & a == a < a << a + a * (".repeat(60),
            ")".repeat(60)
        ),
        format!("eval {}", "x = 1;".repeat(N)),
        format!("x {}", "[".repeat(N)),
        format!("x {}", "/*".repeat(N)),
        format!("x {}", "a==1 ".repeat(N)),
        format!("x {}", "$ = \u{201c}".repeat(N)),
        format!("{}x", "@a{x};".repeat(N)),
        "@a{".repeat(N),
        "x|".repeat(N),
        "|".repeat(N),
        "tag=a ".repeat(N),
        format!("tag={}", "a,".repeat(N)),
        "\\".repeat(N),
        format!("x \"{}", "\\".repeat(N)),
        "ü".repeat(N),
    ] {
        let start = std::time::Instant::now();
        check(&text);
        let seconds = start.elapsed().as_secs_f64();
        assert!(
            seconds < 5.0,
            "{seconds} s for {:?}...",
            &text.chars().take(20).collect::<String>()
        );
    }
}

#[test]
fn the_limits_are_beyond_use() {
    for text in [
        format!("eval {}a{}", "(".repeat(60), ")".repeat(60)),
        format!("eval a{}", " || a".repeat(500)),
        format!(
            "eval if (a) {{ x = 1; }}{}",
            " else if (a) { x = 1; }".repeat(250)
        ),
    ] {
        let (_, diagnostics) = parse(&text);
        assert!(!diagnostics.iter().any(|d| d.is_error()), "{diagnostics:?}");
        check(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn any_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24)) {
        check(&pieces.concat());
    }

    #[test]
    fn any_eval(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..10)) {
        check(&format!("eval {}", pieces.concat()));
        check(&format!("({})", pieces.join(" ")));
    }

    #[test]
    fn any_change_of_a_published_query(
        which in 0..103usize,
        at in 0..200usize,
        length in 0..3usize,
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let queries = published();
        let mut characters: Vec<char> = queries[which].2.chars().collect();
        let start = at.min(characters.len());
        let end = (start + length).min(characters.len());
        characters.splice(start..end, piece.chars());
        check(&characters.into_iter().collect::<String>());
    }
}
