//! The capture filter: a libpcap expression, which packets it lets through.
//!
//! ```text
//! expression --libpcap--> instructions --check--> Filter --run--> kept or not
//! ```
//!
//! The expression is compiled by the system's own libpcap, opened at run time, so that it means
//! what it means to tcpdump. The instructions are checked once and then interpreted here.

mod expression;
mod libpcap;
mod machine;
mod program;

#[cfg(test)]
mod tests;

pub use libpcap::LibpcapError;
pub use machine::Filter;
pub use program::{Instruction, ProgramError};

use crate::frame::LinkType;

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// libpcap is not installed or not usable.
    #[error(transparent)]
    Libpcap(LibpcapError),
    /// libpcap refused the expression.
    #[error("cannot compile the capture filter '{expression}'{}: {reason}", at(*.column))]
    Expression {
        /// The expression as given.
        expression: String,
        /// Column (from 1, in characters) of the word that is not understood, where it is known.
        column: Option<usize>,
        /// libpcap's own text.
        reason: String,
    },
    /// The compiled program does what only a kernel can do, or is no program.
    #[error("cannot run the capture filter '{expression}': {reason}")]
    Program {
        /// The expression, or where the program came from.
        expression: String,
        /// What is wrong with it.
        reason: ProgramError,
    },
}

fn at(column: Option<usize>) -> String {
    column.map_or_else(String::new, |column| format!(" at column {column}"))
}

impl FilterError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Libpcap(_) => {
                "install libpcap (Debian and Ubuntu: libpcap0.8, Fedora and Arch: libpcap), \
                 or leave the filter out"
            }
            Self::Expression { reason, .. } if reason.contains("netmask") => {
                "name the address instead: dst host 192.0.2.255"
            }
            Self::Expression { .. } => "the syntax is that of tcpdump: man 7 pcap-filter",
            Self::Program {
                reason: ProgramError::Backwards { .. },
                ..
            } => "protochain needs a loop: name the protocol itself (ip6 proto, or tcp, udp)",
            Self::Program { .. } => {
                "only what the packet's own bytes tell can be asked: \
                 no inbound, outbound or ifindex"
            }
        }
    }
}

impl Filter {
    /// Compiles `expression` for packets of `link_type` cut at `snaplen` bytes; the empty
    /// expression lets all through. Opens a library: to be done before a sandbox closes.
    pub fn compile(
        expression: &str,
        link_type: LinkType,
        snaplen: u32,
    ) -> Result<Self, FilterError> {
        let compile = |text: &str| libpcap::compile(text, link_type, snaplen);
        let instructions = compile(expression).map_err(|error| match error {
            LibpcapError::Refused { reason } => FilterError::Expression {
                expression: expression.to_owned(),
                column: expression::column(expression, &reason, |text| compile(text).is_ok()),
                reason,
            },
            other => FilterError::Libpcap(other),
        })?;
        Self::new(&instructions).map_err(|reason| FilterError::Program {
            expression: expression.to_owned(),
            reason,
        })
    }

    /// A filter from the text that `tcpdump -ddd` prints; `name` says in errors where it is from.
    pub fn from_decimal(name: &str, text: &str) -> Result<Self, FilterError> {
        Instruction::parse_decimal(text)
            .and_then(|instructions| Self::new(&instructions))
            .map_err(|reason| FilterError::Program {
                expression: name.to_owned(),
                reason,
            })
    }
}
