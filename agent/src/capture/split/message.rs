//! What the two parts say to each other: a line of text each.

use std::fmt;
use std::str::FromStr;

use crate::capture::Mode;

/// Bytes of a message, at most; longer notes are cut.
pub(super) const MAX_BYTES: usize = 8192;

/// A message of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Parent: packets come from this interface from now on.
    Interface {
        /// Its number in records and counters.
        slot: u32,
        /// Where the program runs.
        mode: Mode,
        /// Its name, without white space.
        name: String,
        /// The tag of its packets.
        tag: String,
    },
    /// Parent: this interface is gone.
    Gone {
        /// Its number.
        slot: u32,
        /// Its name.
        name: String,
    },
    /// Parent: this interface is there, and not wanted any more.
    Left {
        /// Its number.
        slot: u32,
        /// Its name.
        name: String,
    },
    /// Parent: a new configuration lies in what was passed.
    Configured {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
    },
    /// Parent: something that the user should be told.
    Note(String),
    /// Parent: it was told to stop.
    Stop,
    /// Parent: it was asked for statistics.
    Statistics,
    /// Worker: it works.
    Working,
    /// Worker: another interface may have this slot.
    Free {
        /// The slot.
        slot: u32,
    },
    /// Worker: no more packets, please.
    Detach,
    /// Parent: no more packets come, the answer to [`Message::Detach`].
    Detached,
    /// Worker: all is written.
    Done,
}

/// Text that is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other part said '{0}', which is no message")]
pub struct MessageError(pub String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface {
                slot,
                mode,
                name,
                tag,
            } => write!(f, "interface {slot} {mode} {name} {tag}"),
            Self::Gone { slot, name } => write!(f, "gone {slot} {name}"),
            Self::Left { slot, name } => write!(f, "left {slot} {name}"),
            Self::Configured { offset, bytes } => write!(f, "configured {offset} {bytes}"),
            Self::Free { slot } => write!(f, "free {slot}"),
            Self::Note(text) => write!(f, "note {text}"),
            Self::Stop => f.write_str("stop"),
            Self::Statistics => f.write_str("statistics"),
            Self::Working => f.write_str("working"),
            Self::Detach => f.write_str("detach"),
            Self::Detached => f.write_str("detached"),
            Self::Done => f.write_str("done"),
        }
    }
}

impl FromStr for Message {
    type Err = MessageError;

    fn from_str(text: &str) -> Result<Self, MessageError> {
        parse(text).ok_or_else(|| MessageError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Message> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    match verb {
        "interface" => {
            let mut words = rest.splitn(4, ' ');
            Some(Message::Interface {
                slot: words.next()?.parse().ok()?,
                mode: parse_mode(words.next()?)?,
                name: parse_name(words.next()?)?,
                tag: words.next()?.to_owned(),
            })
        }
        "gone" => {
            let (slot, name) = rest.split_once(' ')?;
            Some(Message::Gone {
                slot: slot.parse().ok()?,
                name: parse_name(name)?,
            })
        }
        "left" => {
            let (slot, name) = rest.split_once(' ')?;
            Some(Message::Left {
                slot: slot.parse().ok()?,
                name: parse_name(name)?,
            })
        }
        "configured" => {
            let (offset, bytes) = rest.split_once(' ')?;
            Some(Message::Configured {
                offset: offset.parse().ok()?,
                bytes: bytes.parse().ok()?,
            })
        }
        "free" => Some(Message::Free {
            slot: rest.parse().ok()?,
        }),
        "note" => Some(Message::Note(rest.to_owned())),
        _ => [
            Message::Stop,
            Message::Statistics,
            Message::Working,
            Message::Detach,
            Message::Detached,
            Message::Done,
        ]
        .into_iter()
        .find(|message| message.to_string() == text),
    }
}

fn parse_mode(text: &str) -> Option<Mode> {
    [Mode::Auto, Mode::Native, Mode::Generic, Mode::PacketSocket]
        .into_iter()
        .find(|mode| mode.to_string() == text)
}

/// The kernel gives interfaces no name that is empty or has white space (`dev_valid_name`).
fn parse_name(text: &str) -> Option<String> {
    let valid = !text.is_empty() && !text.contains(char::is_whitespace);
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_message() -> impl Strategy<Value = Message> {
        let mode = prop::sample::select(vec![
            Mode::Auto,
            Mode::Native,
            Mode::Generic,
            Mode::PacketSocket,
        ]);
        let name = "[^\\s]{1,15}";
        prop_oneof![
            (any::<u32>(), mode, name, ".*").prop_map(|(slot, mode, name, tag)| {
                Message::Interface {
                    slot,
                    mode,
                    name,
                    tag,
                }
            }),
            (any::<u32>(), name).prop_map(|(slot, name)| Message::Gone { slot, name }),
            (any::<u32>(), name).prop_map(|(slot, name)| Message::Left { slot, name }),
            (any::<u64>(), any::<u64>())
                .prop_map(|(offset, bytes)| Message::Configured { offset, bytes }),
            any::<u32>().prop_map(|slot| Message::Free { slot }),
            Just(Message::Working),
            "(?s).*".prop_map(Message::Note),
            Just(Message::Stop),
            Just(Message::Statistics),
            Just(Message::Detach),
            Just(Message::Detached),
            Just(Message::Done),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(message in any_message()) {
            prop_assert_eq!(message.to_string().parse(), Ok(message));
        }

        #[test]
        fn any_text_is_a_message_or_an_error(text: String) {
            if let Ok(message) = text.parse::<Message>() {
                prop_assert_eq!(message.to_string().parse(), Ok(message));
            }
        }
    }

    #[test]
    fn the_text_is_what_it_is() {
        let message = Message::Interface {
            slot: 1,
            mode: Mode::Native,
            name: "lan0".to_owned(),
            tag: "in side".to_owned(),
        };
        assert_eq!(message.to_string(), "interface 1 native lan0 in side");
        for wrong in [
            "",
            "interface",
            "interface 1 fast lan0 x",
            "gone 1",
            "gone x lan0",
            "free",
            "stop 1",
        ] {
            assert_eq!(
                wrong.parse::<Message>(),
                Err(MessageError(wrong.to_owned()))
            );
        }
    }
}
