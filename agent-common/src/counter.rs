//! The kernel program's counters: one per-CPU array, indexed by [`Counter`].

/// What is counted of each packet.
///
/// `Seen` is the sum of `Emitted` and `RingFull` at every moment; the others say what
/// the walk met on its way and exclude neither each other nor those two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Packets that entered the program.
    Seen,
    /// Records handed to the ring.
    Emitted,
    /// Records lost because the ring had no room.
    RingFull,
    /// Packets that end inside a header; the record has what came before.
    TooShort,
    /// Frames whose payload is not IPv4 or IPv6; the record has no addresses.
    NotIp,
    /// Fragments other than the first; the record has no ports.
    Fragment,
    /// Packets with more IPv6 extension headers than are walked; the record has no ports.
    TooManyHeaders,
}

impl Counter {
    /// All of them, in the order of the array.
    pub const ALL: [Self; 7] = [
        Self::Seen,
        Self::Emitted,
        Self::RingFull,
        Self::TooShort,
        Self::NotIp,
        Self::Fragment,
        Self::TooManyHeaders,
    ];

    /// Entries of the kernel's array.
    pub const COUNT: u32 = Self::ALL.len() as u32;

    /// The place in the kernel's array.
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Emitted => "emitted",
            Self::RingFull => "ring_full",
            Self::TooShort => "too_short",
            Self::NotIp => "not_ip",
            Self::Fragment => "fragment",
            Self::TooManyHeaders => "too_many_headers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_array() {
        for (at, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter.index() as usize, at, "{}", counter.name());
        }
    }
}
