//! stackgraph, fdg, numbercard and gauge: renderers that merge over the whole range.

use super::super::arguments::Args;
use super::super::filter::parse_integer;
use super::super::pipeline::{Card, ColumnId, Limit, Renderer};
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::{Outcome, error, hinted};
use super::super::scope::{Origin, Scope};
use super::chart::magnitude;
use crate::lang::ast::Spanned;

pub(super) static STACKGRAPH: ModuleSpec = ModuleSpec {
    summary: "stacked bars",
    syntax: &["stackgraph BAR SEGMENT MAGNITUDE"],
    reads: "three values; the magnitude may also stand first",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP tcp.DstPort | count by SrcIP,DstPort | stackgraph SrcIP DstPort count",
    ..ModuleSpec::renderer("stackgraph", resolve_stackgraph)
};

pub(super) static FDG: ModuleSpec = ModuleSpec {
    summary: "a force-directed graph: which value meets which",
    syntax: &["fdg [-b] [-v WEIGHT] [-sg EV] [-dg EV] SOURCE TARGET"],
    flags: &[
        flag("-b", "merge A-B with B-A"),
        valued(
            "-v",
            "a value",
            "edge weight: its sum instead of the number of entries",
        ),
        valued("-sg", "a value", "group of the source"),
        valued("-dg", "a value", "group of the target"),
    ],
    reads: "two values",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP ipv4.DstIP | count by SrcIP DstIP | fdg -v count SrcIP DstIP",
    ..ModuleSpec::renderer("fdg", resolve_fdg)
};

const CARD_SYNTAX: &[&str] = &[
    "numbercard EV...",
    "gauge EV...",
    "gauge (EV [MIN MAX] [\"LABEL\"])...",
];

pub(super) static NUMBERCARD: ModuleSpec = ModuleSpec {
    summary: "single numbers",
    syntax: CARD_SYNTAX,
    reads: "values",
    makes: "nothing",
    example: "tag=pcap count | numbercard (count \"packets\")",
    ..ModuleSpec::renderer("numbercard", resolve_cards)
};

pub(super) static GAUGE: ModuleSpec = ModuleSpec {
    summary: "single numbers on a scale from MIN to MAX, which are numbers or values",
    syntax: CARD_SYNTAX,
    reads: "values",
    makes: "nothing",
    example: "tag=pcap count | gauge (count 0 1e6 \"packets\")",
    ..ModuleSpec::renderer("gauge", resolve_cards)
};

fn resolve_stackgraph(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let names = [
        args.word("the bar")?,
        args.word("the segment")?,
        args.word("the magnitude")?,
    ];
    args.finish()?;
    let [first, second, third] = [
        scope.lookup(&names[0]),
        scope.lookup(&names[1]),
        scope.lookup(&names[2]),
    ];
    let made = |scope: &Scope, column| scope.lineage(column).is_some();
    let (bar, segment, (magnitude_column, name)) = if made(scope, first) && !made(scope, third) {
        scope.warn_hint(
            names[0].span,
            format!("'{}' is read as the magnitude", names[0].value),
            "the order is bar, segment, magnitude",
        );
        (second, third, (first, &names[0]))
    } else {
        (first, second, (third, &names[2]))
    };
    let magnitude = magnitude(scope, magnitude_column, name)?;
    scope.renderer = Some(Renderer::Stackgraph {
        bar,
        segment,
        magnitude,
    });
    Ok(())
}

fn resolve_fdg(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let source = args.word("the source")?;
    let target = args.word("the target")?;
    args.finish()?;
    let (source, target) = (scope.lookup(&source), scope.lookup(&target));
    let weight = match args.value("-v").cloned() {
        Some(name) => {
            let column = scope.lookup(&name);
            Some(magnitude(scope, column, &name)?)
        }
        None => None,
    };
    let mut group = |name: Option<Spanned<String>>| name.map(|name| scope.lookup(&name));
    let source_group = group(args.value("-sg").cloned());
    let target_group = group(args.value("-dg").cloned());
    scope.renderer = Some(Renderer::Fdg {
        source,
        target,
        weight,
        source_group,
        target_group,
        both: args.has("-b"),
    });
    Ok(())
}

fn resolve_cards(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let mut cards = Vec::new();
    while !args.is_empty() {
        cards.push(read_card(args, scope)?);
    }
    if cards.is_empty() {
        let made = scope.condensed.as_ref().map(|c| c.outputs.clone());
        for column in made.unwrap_or_default() {
            let label = scope
                .info(column)
                .map(|c| c.name.clone())
                .unwrap_or_default();
            cards.push(Card {
                value: column,
                label,
                limits: None,
            });
        }
    }
    if cards.is_empty() {
        return Err(hinted(
            error(
                args.name.span,
                format!("{} has no number to show", args.name.value),
            ),
            "condense first: 'count | numbercard count'",
        ));
    }
    // A keyed number gives one card per key.
    let keys: Vec<ColumnId> = scope
        .visible()
        .iter()
        .filter(|v| v.origin == Origin::Key)
        .map(|v| v.column)
        .collect();
    scope.renderer = Some(Renderer::Numbercard {
        cards,
        keys,
        gauge: args.name.value.eq_ignore_ascii_case("gauge"),
    });
    Ok(())
}

/// `EV`, `(EV "label")`, `(EV min max)`, `(EV min max "label")`.
fn read_card(args: &mut Args<'_>, scope: &mut Scope) -> Outcome<Card> {
    let grouped = args.take_punct('(');
    let name = args.word("a value")?;
    let column = scope.lookup(&name);
    let value = magnitude(scope, column, &name)?;
    let mut card = Card {
        value,
        label: name.value,
        limits: None,
    };
    if !grouped {
        return Ok(card);
    }
    let mut words = Vec::new();
    while let Some(word) = args.take_word() {
        words.push(word);
    }
    args.expect_punct(')')?;
    let (scale, label) = match words.as_slice() {
        [] => (None, None),
        [label] => (None, Some(label)),
        [min, max] => (Some((min, max)), None),
        [min, max, label] => (Some((min, max)), Some(label)),
        [_, _, _, surplus, ..] => {
            return Err(hinted(
                error(surplus.span, "a number has two limits and a label"),
                "write (EV MIN MAX \"LABEL\")",
            ));
        }
    };
    if let Some(label) = label {
        card.label.clone_from(&label.value);
    }
    if let Some((min, max)) = scale {
        let limits = [limit(scope, min)?, limit(scope, max)?];
        if let [Limit::Number(low), Limit::Number(high)] = limits
            && low >= high
        {
            return Err(hinted(
                error(
                    max.span,
                    format!("the scale from {} to {} is empty", min.value, max.value),
                ),
                "the smaller limit stands first",
            ));
        }
        card.limits = Some(limits);
    }
    Ok(card)
}

/// A limit of a scale: a number, else a value.
fn limit(scope: &mut Scope, word: &Spanned<String>) -> Outcome<Limit> {
    let float = word.value.parse::<f64>().ok().filter(|n| n.is_finite());
    let number = float.or_else(|| parse_integer(&word.value).map(|n| n as f64));
    if let Some(number) = number {
        return Ok(Limit::Number(number));
    }
    let column = scope.lookup(word);
    magnitude(scope, column, word).map(Limit::Column)
}
