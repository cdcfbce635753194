//! From a file to a configuration, or to all that is wrong with it.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::section::Section;
use super::{Config, ConfigError, Problem, SECTIONS};
use crate::spelling;

/// Edits by which a key may differ from one that it was meant to be.
const LIKENESS: usize = 3;

impl Config {
    /// Reads a file; its text, too.
    ///
    /// # Errors
    /// If it cannot be read, or anything in it is wrong.
    pub fn load(path: &Path) -> Result<(String, Self), ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let config = Self::parse(path, &text)?;
        Ok((text, config))
    }

    /// Reads the text of a file; `path` is for what is said of it.
    ///
    /// # Errors
    /// If anything in it is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        parse(text).map_err(|mut problems| {
            problems.sort_by_key(|problem| (problem.line, problem.column));
            ConfigError::Wrong {
                path: path.to_owned(),
                problems,
            }
        })
    }
}

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let found = |error: &toml::de::Error, key| {
        let span = error.span().unwrap_or_default();
        problem(text, &span, key, error.message().to_owned(), None)
    };
    let (mut table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| found(error, None)).collect());
    }
    let mut problems = unknown(text, table.get_mut());
    loop {
        let error = match Config::deserialize(Deserializer::from(table.clone())) {
            Ok(config) => {
                problems.extend(contradictions(text, table.get_ref(), &config));
                return if problems.is_empty() {
                    Ok(config)
                } else {
                    Err(problems)
                };
            }
            Err(error) => error,
        };
        // Without it, what else is wrong shows.
        let key = error.span().and_then(|span| take(table.get_mut(), &span));
        let is_last = key.is_none();
        problems.push(found(&error, key));
        if is_last {
            return Err(problems);
        }
    }
}

/// Takes away sections and keys that there are not, and says so.
fn unknown(text: &str, table: &mut DeTable<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut kept = DeTable::new();
    for (name, mut value) in std::mem::take(table) {
        let known = SECTIONS
            .iter()
            .find(|section| section.name == name.get_ref());
        let Some(section) = known else {
            problems.push(unknown_section(text, &name, &value));
            continue;
        };
        if let DeValue::Table(keys) = value.get_mut() {
            let is_known = |key: &str| section.keys.iter().any(|known| known.name == key);
            let (known, others): (Vec<_>, Vec<_>) = std::mem::take(keys)
                .into_iter()
                .partition(|(key, _)| is_known(key.get_ref()));
            *keys = known.into_iter().collect();
            problems.extend(
                others
                    .iter()
                    .map(|(key, _)| unknown_key(text, section, key)),
            );
        }
        kept.insert(name, value);
    }
    *table = kept;
    problems
}

fn unknown_section(
    text: &str,
    name: &Spanned<impl AsRef<str>>,
    value: &Spanned<DeValue<'_>>,
) -> Problem {
    let names = SECTIONS.iter().map(|section| section.name);
    let given = name.get_ref().as_ref();
    let of = SECTIONS
        .iter()
        .find(|section| section.keys.iter().any(|key| key.name == given));
    let (message, hint) = match of {
        Some(section) if !value.get_ref().is_table() => (
            "a key outside a section".to_owned(),
            format!("it belongs below [{}]", section.name),
        ),
        _ => (
            "there is no such section".to_owned(),
            alternatives(given, names.map(|name| format!("[{name}]"))),
        ),
    };
    problem(
        text,
        &name.span(),
        Some(given.to_owned()),
        message,
        Some(hint),
    )
}

fn unknown_key(text: &str, section: &Section, key: &Spanned<impl AsRef<str>>) -> Problem {
    let given = key.get_ref().as_ref();
    let elsewhere = SECTIONS
        .iter()
        .find(|other| other.keys.iter().any(|known| known.name == given));
    let hint = match elsewhere {
        Some(other) => format!("[{}] has one of this name", other.name),
        None => alternatives(given, section.keys.iter().map(|key| key.name.to_owned())),
    };
    problem(
        text,
        &key.span(),
        Some(format!("{}.{given}", section.name)),
        "there is no such key".to_owned(),
        Some(hint),
    )
}

/// The name that was meant, or all.
fn alternatives(given: &str, names: impl Iterator<Item = String> + Clone) -> String {
    let distance = |name: &String| spelling::distance(given, name.trim_matches(['[', ']']));
    match names.clone().min_by_key(distance) {
        Some(nearest) if distance(&nearest) <= LIKENESS.min(given.len() / 2) => {
            format!("did you mean {nearest}?")
        }
        _ => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
    }
}

/// What no key alone can tell.
fn contradictions(text: &str, table: &DeTable<'_>, config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |section: &str, key: &str, message: &str, hint: &str| {
        let span = span_of(table, section, key).unwrap_or_default();
        let name = format!("{section}.{key}");
        problems.push(problem(
            text,
            &span,
            Some(name),
            message.to_owned(),
            Some(hint.to_owned()),
        ));
    };
    if let Some(listen) = config.metrics.listen
        && !listen.0.ip().is_loopback()
        && !config.metrics.allow_remote
    {
        report(
            "metrics",
            "listen",
            "other machines reach this address, and they are not asked who they are",
            "write 127.0.0.1, or allow it with allow_remote = true",
        );
    }
    if config.capture.filter.is_some() && !config.capture.packets {
        report(
            "capture",
            "filter",
            "a filter needs packets, and packets = false copies none",
            "leave the filter out, or set packets = true",
        );
    }
    problems
}

fn span_of(table: &DeTable<'_>, section: &str, key: &str) -> Option<Range<usize>> {
    let keys = table.get(section)?.get_ref().as_table()?;
    Some(keys.get(key)?.span())
}

/// Takes away the key with the value at `span`; its name with its section.
fn take(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let holds = |value: &Spanned<DeValue<'_>>| {
        let of = value.span();
        of.start <= span.start && span.end <= of.end
    };
    let mut found = None;
    for (section, value) in table.iter_mut() {
        let DeValue::Table(keys) = value.get_mut() else {
            continue;
        };
        let key = keys.iter().find(|(_, value)| holds(value));
        if let Some(key) = key.map(|(key, _)| key.get_ref().clone()) {
            found = Some(format!("{}.{key}", section.get_ref()));
            keys.remove(key.as_ref());
            return found;
        }
    }
    let section = table.iter().find(|(_, value)| holds(value));
    if let Some(section) = section.map(|(section, _)| section.get_ref().clone()) {
        found = Some(section.to_string());
        table.remove(section.as_ref());
    }
    found
}

fn problem(
    text: &str,
    span: &Range<usize>,
    key: Option<String>,
    message: String,
    hint: Option<String>,
) -> Problem {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Problem {
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        key,
        message,
        hint,
    }
}
