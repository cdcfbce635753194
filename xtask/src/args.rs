//! The command line of the tasks: flags, options with a value, positional words.

use std::str::FromStr;

use crate::Result;

/// What is left of the command line; every question takes its answer out.
pub(crate) struct Args(Vec<String>);

impl Args {
    /// The arguments of this process, without its name.
    pub(crate) fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The next word that is no option, if one comes first.
    pub(crate) fn positional(&mut self) -> Option<String> {
        let first = self.0.first()?;
        (!first.starts_with('-')).then(|| self.0.remove(0))
    }

    /// Whether `--name` was given.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|arg| arg != name);
        self.0.len() != before
    }

    /// The value of `--name VALUE`, or `default` where it was not given.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str, default: T) -> Result<T> {
        let Some(at) = self.0.iter().position(|arg| arg == name) else {
            return Ok(default);
        };
        self.0.remove(at);
        if at == self.0.len() {
            return Err(format!("{name} needs a value").into());
        }
        let text = self.0.remove(at);
        text.parse()
            .map_err(|_| format!("{name}: `{text}` is not a valid value").into())
    }

    /// Refuses what nobody asked for, so that a mistyped option does not pass silently.
    pub(crate) fn finish(self) -> Result<()> {
        match self.0.first() {
            Some(arg) => Err(format!("unexpected argument `{arg}`").into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_are_taken_out_in_any_order() {
        let mut args = args("limit --packets 7 FILE --markdown");
        assert_eq!(args.positional().as_deref(), Some("limit"));
        assert!(args.flag("--markdown"));
        assert_eq!(args.value("--packets", 1u64).unwrap(), 7);
        assert_eq!(args.value("--runs", 5u32).unwrap(), 5);
        assert_eq!(args.positional().as_deref(), Some("FILE"));
        assert!(args.finish().is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            args("--runs")
                .value("--runs", 1u32)
                .unwrap_err()
                .to_string(),
            "--runs needs a value"
        );
        assert_eq!(
            args("--runs x")
                .value("--runs", 1u32)
                .unwrap_err()
                .to_string(),
            "--runs: `x` is not a valid value"
        );
        assert_eq!(
            args("--rnus 5").finish().unwrap_err().to_string(),
            "unexpected argument `--rnus`"
        );
    }
}
