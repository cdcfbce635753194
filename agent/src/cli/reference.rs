//! `flowsift fields` and `flowsift modules`: the reference, from the declarations themselves.

use std::io::{self, Write};

use super::args::{FieldsArgs, ModulesArgs};
use super::error::Error;
use crate::decode;
use crate::plan::registry;

/// Prints the table of packet fields.
pub(super) fn fields(args: &FieldsArgs, out: &mut dyn Write) -> Result<(), Error> {
    let filter = args.filter.as_deref().unwrap_or("").to_ascii_lowercase();
    for field in decode::fields() {
        let name = format!("{}.{}", field.protocol, field.name);
        let haystack = format!("{name} {}", field.doc).to_ascii_lowercase();
        if haystack.contains(&filter) {
            writeln!(out, "{name:<24} {:<8} {}", field.ty.to_string(), field.doc)
                .map_err(write_error)?;
        }
    }
    Ok(())
}

/// Prints the list of modules, or all that is declared of one.
pub(super) fn modules(args: &ModulesArgs, out: &mut dyn Write) -> Result<(), Error> {
    let Some(name) = &args.name else {
        for module in registry::modules() {
            writeln!(out, "{}", module.summary_line()).map_err(write_error)?;
        }
        return Ok(());
    };
    let module = registry::find(name).ok_or_else(|| Error::Usage {
        message: format!("unknown module '{name}'"),
        hint: match registry::nearest(name) {
            Some(nearest) => format!("the nearest module is '{nearest}'"),
            None => "flowsift modules lists them".to_owned(),
        },
    })?;
    write!(out, "{}", module.help()).map_err(write_error)
}

fn write_error(source: io::Error) -> Error {
    Error::Render(crate::render::Error::from(source))
}
