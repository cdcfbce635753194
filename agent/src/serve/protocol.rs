//! What agent and subscribers say to each other: one JSON object a line (`docs/socket.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The protocol of this program. Kinds of message and members may be added without a new number;
/// whoever reads passes over what it does not know.
pub const PROTOCOL: u32 = 1;

/// The mode of an interface that is not there.
pub const GONE: &str = "gone";

/// The mode of an interface that is not wanted any more.
pub const LEFT: &str = "left";

/// Name of the socket in the store's folder.
pub const SOCKET_NAME: &str = crate::store::layout::SOCKET_NAME;

/// Bytes of a line that a subscriber may send, its end included.
pub const LONGEST_REQUEST: usize = 4096;

/// The one line that a subscriber sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The protocol that it speaks: [`PROTOCOL`].
    pub hello: u32,
    /// What it wants.
    pub want: Want,
}

/// What a subscriber wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// [`Message::Commit`] and what belongs to it, until one side ends.
    Commits,
    /// One [`Message::Status`].
    Status,
}

/// A line of the agent's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The first line to whoever is admitted.
    Hello(Hello),
    /// The only line to whoever is not: why.
    Refused(String),
    /// A source has more than before.
    Commit(Commit),
    /// All packets up to this time (nanoseconds since 1970) are committed, or counted as lost.
    /// Follows the clock where that is set back.
    CompleteUntilNs(i64),
    /// Counters of an interface, once a second.
    Loss(Loss),
    /// How things are.
    Status(Box<Report>),
    /// The last line: why it ends.
    End(String),
}

/// Who speaks, and what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// [`PROTOCOL`] of the agent.
    pub protocol: u32,
    /// The program's version.
    pub version: String,
    /// The process that writes the store.
    pub pid: u32,
    /// When it began, in nanoseconds since 1970.
    pub started_ns: i64,
    /// What a query beside it should not take more of.
    pub limits: Limits,
    /// The sources that have been written to so far, with their last commit.
    pub sources: Vec<Commit>,
}

/// What a query beside a running capture should not take more of; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Time, in milliseconds.
    pub time: Option<u64>,
    /// Rows of the answer.
    pub rows: Option<u64>,
}

/// How far a source is written: every record of files before this one, and of this one up to the
/// length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commit {
    /// The well.
    pub well: String,
    /// The interface.
    pub interface: String,
    /// The tag.
    pub tag: String,
    /// Number of the file that is being written (`active-NNNNNN`), or was last; 0 before there
    /// is one.
    pub sequence: u64,
    /// Bytes of it that are whole records.
    pub length: u64,
    /// When it was written, in nanoseconds since 1970.
    pub time_ns: i64,
}

/// What became of an interface's packets, since the agent began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Loss {
    /// The interface.
    pub interface: String,
    /// The tag of its packets.
    pub tag: String,
    /// When it was counted, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Counters since the agent began. `seen` is `stored`, and what was dropped or left out, and what
/// is on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Packets that came.
    pub seen: u64,
    /// Their bytes on the wire.
    pub seen_bytes: u64,
    /// Packets in the store.
    pub stored: u64,
    /// Bytes of their records.
    pub stored_bytes: u64,
    /// Stored packets of which bytes were left out.
    pub cut: u64,
    /// Lost packets, by the reasons of the loss tables (`docs/store.md`).
    pub dropped: BTreeMap<String, u64>,
    /// Packets that were not wanted, by the same.
    pub left_out: BTreeMap<String, u64>,
    /// Tuples for which their ring had no room.
    pub tuples_dropped: u64,
}

impl Counts {
    /// Counts both.
    pub fn add(&mut self, other: &Self) {
        self.seen += other.seen;
        self.seen_bytes += other.seen_bytes;
        self.stored += other.stored;
        self.stored_bytes += other.stored_bytes;
        self.cut += other.cut;
        self.tuples_dropped += other.tuples_dropped;
        for (all, more) in [
            (&mut self.dropped, &other.dropped),
            (&mut self.left_out, &other.left_out),
        ] {
            for (reason, count) in more {
                *all.entry(reason.clone()).or_default() += count;
            }
        }
    }

    /// Lost packets, whatever the reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// How the agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// When that was, in nanoseconds since 1970.
    pub time_ns: i64,
    /// All packets up to here are committed or counted as lost, in nanoseconds since 1970; 0
    /// where nothing is known yet.
    pub complete_until_ns: i64,
    /// Whether it is tuples that are stored, and no packets: what was lost is then lost on their
    /// way.
    pub tuples: bool,
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// Share of the fullest ring that is used, 0 to 1.
    pub ring_fill: f64,
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Packets of interfaces that were being attached or detached.
    pub unconfigured: u64,
    /// Records of a wrong length: a defect of the agent.
    pub malformed: u64,
    /// Who listens.
    pub subscribers: Subscribers,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The tag of its packets.
    pub tag: String,
    /// The well that they are kept in; empty before the first.
    pub well: String,
    /// How packets are taken from it; `gone` while it is not there, `left` once it is not wanted.
    pub mode: String,
    /// Packets a second, over the last seconds.
    pub packets_per_second: f64,
    /// Bytes on the wire a second, over the last seconds.
    pub bytes_per_second: f64,
    /// What became of its packets.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Who listens, and who does not any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subscribers {
    /// Connected now, whoever asked this included.
    pub now: u64,
    /// At most.
    pub max: u64,
    /// Cut off so far because they read too slowly.
    pub cut_off: u64,
    /// Refused so far.
    pub refused: u64,
}

/// A line that is no message.
#[derive(Debug, thiserror::Error)]
#[error("'{line}' is no message: {source}")]
pub struct ProtocolError {
    /// The line, or its beginning.
    pub line: String,
    /// Why it is none.
    pub source: serde_json::Error,
}

impl Message {
    /// The line, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Strings, numbers and maps of them: nothing that JSON could refuse.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads a line; `None` for a kind of message that this program does not know.
    ///
    /// # Errors
    /// If it is no JSON object with one member, or the member is not what its name says.
    pub fn parse(line: &str) -> Result<Option<Self>, ProtocolError> {
        const KINDS: [&str; 7] = [
            "hello",
            "refused",
            "commit",
            "complete_until_ns",
            "loss",
            "status",
            "end",
        ];
        let error = match serde_json::from_str(line) {
            Ok(message) => return Ok(Some(message)),
            Err(error) => error,
        };
        let object: Result<serde_json::Map<String, serde_json::Value>, _> =
            serde_json::from_str(line);
        match object {
            Ok(object) if !object.keys().any(|kind| KINDS.contains(&kind.as_str())) => Ok(None),
            _ => Err(ProtocolError {
                line: line.chars().take(200).collect(),
                source: error,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_documented() {
        let commit = Message::Commit(Commit {
            well: "pcap".to_owned(),
            interface: "lan0".to_owned(),
            tag: "pcap".to_owned(),
            sequence: 42,
            length: 1_024,
            time_ns: 1_700_000_000_000_000_000,
        });
        let line = "{\"commit\":{\"well\":\"pcap\",\"interface\":\"lan0\",\"tag\":\"pcap\",\
            \"sequence\":42,\"length\":1024,\"time_ns\":1700000000000000000}}\n";
        assert_eq!(commit.line(), line);
        assert_eq!(Message::parse(line).unwrap(), Some(commit));
        assert_eq!(
            Message::CompleteUntilNs(5).line(),
            "{\"complete_until_ns\":5}\n"
        );
        assert_eq!(Message::End("x\ny".to_owned()).line().lines().count(), 1);
        let request: Request = serde_json::from_str("{\"hello\":1,\"want\":\"commits\"}").unwrap();
        assert_eq!(request.want, Want::Commits);
    }

    #[test]
    fn counters_stand_beside_the_names() {
        let mut loss = Loss {
            interface: "lan0".to_owned(),
            ..Loss::default()
        };
        loss.counts.seen = 3;
        loss.counts.dropped.insert("ring_full".to_owned(), 2);
        let line = Message::Loss(loss.clone()).line();
        assert!(line.contains("\"seen\":3") && line.contains("{\"ring_full\":2}"));
        assert_eq!(Message::parse(&line).unwrap(), Some(Message::Loss(loss)));
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_wrong_is_not() {
        assert_eq!(Message::parse("{\"news\":[1,2]}").unwrap(), None);
        let more = "{\"hello\":{\"protocol\":1,\"version\":\"9\",\"colour\":\"red\"}}";
        let Some(Message::Hello(hello)) = Message::parse(more).unwrap() else {
            panic!("no hello");
        };
        assert_eq!((hello.protocol, hello.version.as_str()), (1, "9"));
        for wrong in [
            "",
            "x",
            "[]",
            "{\"commit\":7}",
            "{\"complete_until_ns\":\"x\"}",
        ] {
            assert!(Message::parse(wrong).is_err(), "{wrong}");
        }
    }
}
