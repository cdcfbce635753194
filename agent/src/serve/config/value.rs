//! What a key may be given: each type says what it expects, and refuses everything else.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::capture::{MAX_RING_BYTES, MAX_RINGS};
use crate::store::{Compress, parse_age, parse_size};

/// Reads text, and says what it should have been.
struct FromText<T> {
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| {
            let found = serde::de::Unexpected::Str(text);
            E::invalid_value(found, &self.expected)
        })
    }
}

macro_rules! from_text {
    ($Type:ty, $expected:literal, $parse:expr) => {
        impl<'de> Deserialize<'de> for $Type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(FromText {
                    expected: $expected,
                    parse: $parse,
                })
            }
        }
    };
}

/// Declares a value that is one of several words.
macro_rules! words {
    ($(#[$about:meta])* $Type:ident, $expected:literal, $($(#[$doc:meta])* $Case:ident = $word:literal),+) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Type {
            $($(#[$doc])* $Case,)+
        }

        from_text!($Type, $expected, |text| match text {
            $($word => Some(Self::$Case),)+
            _ => None,
        });
    };
}

words!(
    /// Where packets come from.
    Origin, "\"auto\", \"xdp\" or \"packet-socket\"",
    /// The kernel program, and packet sockets where the kernel refuses it.
    Auto = "auto",
    /// The kernel program or nothing.
    Xdp = "xdp",
    /// A packet socket for each interface.
    PacketSocket = "packet-socket"
);

words!(
    /// Where the kernel calls the capture program.
    Attach, "\"auto\", \"native\" or \"generic\"",
    /// Native, and generic where the driver has none.
    Auto = "auto",
    /// In the driver.
    Native = "native",
    /// In the kernel's own receive path.
    Generic = "generic"
);

words!(
    /// How much is told.
    Level, "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    /// What failed.
    Error = "error",
    /// What should be looked at, too.
    Warn = "warn",
    /// What happens, too.
    Info = "info",
    /// What its developers want to know, too.
    Debug = "debug",
    /// Everything.
    Trace = "trace"
);

words!(
    /// Whether lines are for the journal.
    Journal, "\"auto\", \"yes\" or \"no\"",
    /// If standard error goes there.
    Auto = "auto",
    /// They are.
    Yes = "yes",
    /// They are not.
    No = "no"
);

/// Text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

from_text!(Text, "text", |text| {
    (!text.trim().is_empty()).then(|| Self(text.to_owned()))
});

/// An absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub PathBuf);

impl Path {
    pub(super) fn new(path: &str) -> Self {
        Self(PathBuf::from(path))
    }
}

from_text!(Path, "an absolute path", |text| {
    text.starts_with('/').then(|| Self::new(text))
});

/// An interface or a pattern of several, and the tag of its packets: `lan0`, `lan*=inside`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface(pub String);

from_text!(
    Interface,
    "an interface such as \"eth0\", a pattern such as \"lan*\", or either with a tag, \"eth0=uplink\"",
    |text| {
        let (name, tag) = text.split_once('=').unwrap_or((text, "tag"));
        let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '/');
        let is_pattern = glob::Pattern::new(name).is_ok();
        (is_name && is_pattern && !tag.is_empty()).then(|| Self(text.to_owned()))
    }
);

/// Bytes, at least `MIN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<const MIN: u64>(pub u64);

from_text!(Size<0>, "a size such as \"512MiB\" or \"20GB\"", |text| {
    parse_size(text).ok().map(Self)
});
from_text!(
    Size<1_048_576>,
    "a size such as \"512MiB\", of at least \"1MiB\"",
    |text| parse_size(text)
        .ok()
        .filter(|bytes| *bytes >= 1 << 20)
        .map(Self)
);

/// How closed capture files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression(pub Compress);

from_text!(
    Compression,
    "\"zstd\", \"zstd:LEVEL\" with a level from 1 to 22, or \"none\"",
    |text| Compress::parse(text).ok().map(Self)
);

/// The most that rings of a kind take together.
const ALL_RINGS: u64 = MAX_RINGS as u64 * MAX_RING_BYTES as u64;

/// Bytes of rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize(pub u64);

from_text!(
    RingSize,
    "a size that is a power of two from \"1MiB\" to \"16GiB\", such as \"64MiB\"",
    |text| {
        let fits = |bytes: &u64| bytes.is_power_of_two() && (1 << 20..=ALL_RINGS).contains(bytes);
        parse_size(text).ok().filter(fits).map(Self)
    }
);

/// A length of time above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub Duration);

from_text!(
    Age,
    "a time above zero such as \"90s\", \"10m\", \"36h\", \"30d\" or \"2w\"",
    |text| { parse_age(text).ok().filter(|age| !age.is_zero()).map(Self) }
);

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

from_text!(
    FileMode,
    "permissions as octal digits in text, such as \"0660\"",
    |text| {
        let octal = text.len() <= 4 && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| octal && *mode <= 0o777)?;
        Some(Self(mode))
    }
);

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

from_text!(
    Listen,
    "an address and a port such as \"127.0.0.1:9750\" or \"[::1]:9750\"",
    |text| { text.parse().ok().map(Self) }
);

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Visitor<'_> for Whole<MIN, MAX> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self, E> {
        let fitting = u64::try_from(number)
            .ok()
            .filter(|it| (MIN..=MAX).contains(it));
        fitting
            .map(Self)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self(MIN))
    }
}
