//! `flowsift agent`: the daemon. Capture into a store by the same two processes as `flowsift
//! capture`, told by a configuration file, and telling by a log and the service manager.

mod log;
mod parent;
mod passed;
mod worker;

use std::io::{self, Write as _};
use std::path::Path;

use super::args::AgentArgs;
use super::capture::{self, Contradiction, Hangup, Job, Signals};
use super::error::Error;
use crate::capture::split;
use crate::serve::config::{self, Config, ConfigError};

/// Runs until it is stopped; the exit code.
pub(super) fn run(args: &AgentArgs) -> Result<u8, Error> {
    if args.default_config {
        io::stdout().write_all(config::documented().as_bytes())?;
        return Ok(0);
    }
    if let Some(end) = split::worker()? {
        return worker::run(args, end);
    }
    let (text, config) = Config::load(&args.config)?;
    let job = Job::from(&config);
    check(&args.config, &config, &job)?;
    if args.check_config {
        writeln!(io::stdout(), "{}: OK", args.config.display())?;
        return Ok(0);
    }
    let signals = Signals::register(Hangup::Reloads)?;
    parent::run(args, (&text, config), &job, signals)
}

/// What the file alone does not tell.
fn check(path: &Path, config: &Config, job: &Job) -> Result<(), Error> {
    let of = |key: &str, error: Error| Error::Config {
        message: format!("{}: {key}: {}", path.display(), error.bare()),
        hint: error.hint(),
    };
    if config.capture.interfaces.is_empty() {
        return Err(Error::Config {
            message: format!("{}: capture.interfaces: names no interface", path.display()),
            hint: Some("write interfaces = [\"eth0\"] below [capture]".to_owned()),
        });
    }
    capture::user(job).map_err(|error| of("capture.user", error))?;
    capture::group(job).map_err(|error| of("socket.group", error))?;
    capture::filter(job).map_err(|error| of("capture.filter", error))?;
    if let Some(Contradiction { key, why, .. }) = Contradiction::find(job) {
        return Err(Error::Config {
            message: format!(
                "{}: {key}, {why}, cannot be used with capture.source = \"packet-socket\"",
                path.display()
            ),
            hint: Some("leave out one of them".to_owned()),
        });
    }
    Ok(())
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config {
            message: error.to_string(),
            hint: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_program_alone_does_is_refused_with_sockets() {
        let checked = |rest: &str| {
            let text = format!("[capture]\ninterfaces = [\"lan0\"]\n{rest}\n");
            let path = Path::new("x.toml");
            let config = Config::parse(path, &text).unwrap();
            check(path, &config, &Job::from(&config))
        };
        let sockets = "source = \"packet-socket\"";
        assert!(checked(sockets).is_ok());
        for (line, expected) in [
            ("egress = true", "capture.egress, which is a part of"),
            (
                "packets = false",
                "capture.packets, whose tuples are made by",
            ),
            ("mode = \"generic\"", "capture.mode, which says where"),
        ] {
            assert!(checked(line).is_ok(), "{line}");
            let error = checked(&format!("{sockets}\n{line}")).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&format!("x.toml: {expected}")), "{text}");
        }
    }
}
