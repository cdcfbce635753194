//! `flowsift fields` and `flowsift modules`: the reference, from the declarations themselves.

use std::io::{self, Write};

use super::args::{FieldsArgs, ModulesArgs};
use super::error::Error;
use crate::decode;
use crate::plan::functions;
use crate::plan::registry::{self, Availability, ModuleSpec};

/// Prints the table of packet fields.
pub(super) fn fields(args: &FieldsArgs, out: &mut dyn Write) -> Result<(), Error> {
    let filter = args.filter.as_deref().unwrap_or("").to_ascii_lowercase();
    for field in decode::fields() {
        let name = format!("{}.{}", field.protocol, field.name);
        let haystack = format!("{name} {}", field.doc).to_ascii_lowercase();
        if field.tolerated.is_none() && haystack.contains(&filter) {
            writeln!(out, "{name:<24} {:<8} {}", field.ty.to_string(), field.doc)?;
        }
    }
    Ok(())
}

/// Prints the list of modules, or all that is declared of one.
pub(super) fn modules(args: &ModulesArgs, out: &mut dyn Write) -> Result<(), Error> {
    let Some(name) = &args.name else {
        for module in registry::modules() {
            let note = match module.availability {
                Availability::Now => "",
                Availability::Planned => " (not available yet)",
            };
            writeln!(out, "{:<14} {}{note}", module.name, module.summary)?;
        }
        return Ok(());
    };
    let module = registry::find(name).ok_or_else(|| Error::Usage {
        message: format!("unknown module '{name}'"),
        hint: registry::suggestion(name)
            .unwrap_or_else(|| "flowsift modules lists them".to_owned()),
    })?;
    Ok(explain(module, out)?)
}

fn explain(module: &ModuleSpec, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", module.name, module.summary)?;
    if module.availability == Availability::Planned {
        writeln!(out, "It is known to the language, but cannot run yet.")?;
    }
    writeln!(out)?;
    for syntax in module.syntax {
        writeln!(out, "  {syntax}")?;
    }
    for flag in module.flags {
        let name = format!("{} {}", flag.name, flag.value.unwrap_or(""));
        writeln!(out, "  {name:<16} {}", flag.doc)?;
    }
    for (label, text) in [
        ("reads", module.reads),
        ("makes", module.makes),
        ("example", module.example),
    ] {
        if !text.is_empty() {
            writeln!(out, "{label}: {text}")?;
        }
    }
    if module.name == "eval" {
        writeln!(out, "functions:")?;
        for function in functions::functions()
            .iter()
            .filter(|function| function.in_eval)
        {
            let call = format!("{}({})", function.name, function.args);
            writeln!(out, "  {call:<36} {}", function.doc)?;
        }
    }
    Ok(())
}
