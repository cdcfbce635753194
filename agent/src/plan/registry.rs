//! The module registry: what every module of the language is called, takes and makes.
//!
//! The resolver, the help text, completion and the reference are made from it.

use super::arguments::Args;
use super::modules;
use super::report::{Outcome, nearest};
use super::scope::Scope;

/// A module or renderer.
#[derive(Clone, Copy)]
pub struct ModuleSpec {
    /// Name, lower case.
    pub name: &'static str,
    /// Other names, accepted with a warning.
    pub aliases: &'static [&'static str],
    /// Stage or renderer.
    pub kind: Kind,
    /// Whether it can run.
    pub availability: Availability,
    /// Whether it condenses entries to one per window and key.
    pub condenses: bool,
    /// One line.
    pub summary: &'static str,
    /// Ways to write it.
    pub syntax: &'static [&'static str],
    /// Its flags.
    pub flags: &'static [FlagSpec],
    /// What it reads.
    pub reads: &'static str,
    /// The values that it makes.
    pub makes: &'static str,
    /// A query that uses it.
    pub example: &'static str,
    /// Reads the stage's arguments and emits operations.
    pub(crate) resolve: fn(&mut Args<'_>, &mut Scope) -> Outcome,
}

impl std::fmt::Debug for ModuleSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleSpec")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Where a module may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anywhere but last.
    Stage,
    /// Last.
    Renderer,
}

/// Whether a module can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    Now,
    /// Known to the language, not written yet.
    Planned,
}

/// A flag.
#[derive(Clone, Copy, Debug)]
pub struct FlagSpec {
    /// Name with its dash.
    pub name: &'static str,
    /// What its value is, if it takes one.
    pub value: Option<&'static str>,
    /// What it does.
    pub doc: &'static str,
}

/// A flag without a value.
pub(crate) const fn flag(name: &'static str, doc: &'static str) -> FlagSpec {
    FlagSpec {
        name,
        value: None,
        doc,
    }
}

/// A flag with a value.
pub(crate) const fn valued(name: &'static str, value: &'static str, doc: &'static str) -> FlagSpec {
    FlagSpec {
        name,
        value: Some(value),
        doc,
    }
}

impl ModuleSpec {
    /// A stage with nothing but a name and a way to resolve it.
    pub(crate) const fn stage(
        name: &'static str,
        resolve: fn(&mut Args<'_>, &mut Scope) -> Outcome,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            kind: Kind::Stage,
            availability: Availability::Now,
            condenses: false,
            summary: "",
            syntax: &[],
            flags: &[],
            reads: "",
            makes: "",
            example: "",
            resolve,
        }
    }

    /// A renderer with nothing but a name and a way to resolve it.
    pub(crate) const fn renderer(
        name: &'static str,
        resolve: fn(&mut Args<'_>, &mut Scope) -> Outcome,
    ) -> Self {
        Self {
            kind: Kind::Renderer,
            ..Self::stage(name, resolve)
        }
    }
}

/// Every module, in the order of the reference.
pub fn modules() -> &'static [&'static ModuleSpec] {
    modules::ALL
}

/// A module by its name or an alias, in any case.
pub fn find(name: &str) -> Option<&'static ModuleSpec> {
    let same = |other: &&str| other.eq_ignore_ascii_case(name);
    modules()
        .iter()
        .copied()
        .find(|m| same(&m.name) || m.aliases.iter().any(same))
}

/// What to write instead of a module that does not exist.
pub fn suggestion(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let fixed = match lower.as_str() {
        "where" | "filter" | "search" => "filter with eval: 'eval DstPort == 443'",
        "dedup" | "distinct" => "use 'unique'",
        "window" | "bin" | "bucket" => "use 'over' of a condensing stage: 'count by SrcIP over 1m'",
        "rename" => "use 'alias OLD NEW'",
        "join" => "use 'lookup' on an inner query",
        "fillnull" => "use eval: 'eval if (!has(X)) { X = 0; }'",
        "sumproduct" => "use eval and 'sum': 'eval x = a * b; | sum x'",
        "group" | "aggregate" => "use 'stats': 'stats count sum(Length) by SrcIP'",
        "head" => "use 'limit N'",
        "select" => "name the columns in the renderer: 'table SrcIP DstIP'",
        _ => "",
    };
    if !fixed.is_empty() {
        return Some(fixed.to_owned());
    }
    nearest(&lower, modules().iter().map(|m| m.name)).map(|near| format!("did you mean '{near}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_documented_and_found() {
        for module in modules() {
            assert!(!module.summary.is_empty(), "{}", module.name);
            assert!(!module.syntax.is_empty(), "{}", module.name);
            assert!(!module.example.is_empty(), "{}", module.name);
            let found = find(&module.name.to_uppercase()).map(|m| m.name);
            assert_eq!(found, Some(module.name));
            for flag in module.flags {
                assert!(flag.name.starts_with('-'), "{} {}", module.name, flag.name);
                assert!(!flag.doc.is_empty(), "{} {}", module.name, flag.name);
            }
        }
    }

    #[test]
    fn suggestions() {
        for (name, expected) in [
            ("conut", Some("did you mean 'count'?")),
            ("dedup", Some("use 'unique'")),
            ("tabel", Some("did you mean 'table'?")),
            ("frobnicate", None),
        ] {
            assert_eq!(suggestion(name).as_deref(), expected, "{name}");
        }
    }
}
