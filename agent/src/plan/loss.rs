//! The values of an entry of the loss tables (`tag=loss`): what was counted of one interface from
//! one reading of its counters to the next.

use crate::types::EvType;

/// The tag that names them.
pub const TAG: &str = "loss";

/// Declares the values once: column, name in a query, type.
macro_rules! columns {
    ($($(#[$doc:meta])+ $column:ident $name:literal $ty:ident,)+) => {
        /// A value of an entry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum LossColumn {
            $($(#[$doc])+ $column,)+
        }

        impl LossColumn {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$column),+];

            /// Its name in a query.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$column => $name),+
                }
            }

            /// Its type.
            #[must_use]
            pub const fn ty(self) -> EvType {
                match self {
                    $(Self::$column => EvType::$ty),+
                }
            }
        }
    };
}

columns! {
    /// The interface.
    Interface "interface" String,
    /// The tag of its packets.
    PacketTag "packet_tag" String,
    /// Packets that it received.
    Seen "seen" UInt64,
    /// Packets stored.
    Stored "stored" UInt64,
    /// Packets lost, for all reasons that are losses.
    Lost "lost" UInt64,
    /// Captured bytes stored.
    Bytes "bytes" UInt64,
    /// Stored packets that were cut to the snap length.
    Cut "cut" UInt64,
    /// Lost: the kernel's ring was full.
    RingFull "ring_full" UInt64,
    /// Lost: the queue to the writer was full.
    QueueFull "queue_full" UInt64,
    /// Lost: the disk was full.
    DiskFull "disk_full" UInt64,
    /// Lost: the disk failed otherwise.
    IoError "io_error" UInt64,
    /// Lost: longer than any reader takes.
    TooLong "too_long" UInt64,
    /// Left out by the capture filter.
    Filtered "filtered" UInt64,
    /// Left out as the agent's own.
    Own "own" UInt64,
}
