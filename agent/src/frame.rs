//! A captured frame: what every reader of packets yields and every decoder takes.

/// Link type as in <https://www.tcpdump.org/linktypes.html> (the LINKTYPE_ value of the file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

/// One captured frame, borrowed from its reader until the next one is read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Nanoseconds since the Unix epoch; `None` where the block carries no time (pcapng SPB).
    pub time_ns: Option<i64>,
    /// Bytes that the frame had on the wire.
    pub wire_len: u32,
    /// Link type of the frame's interface.
    pub link_type: LinkType,
    /// Name of the frame's interface (pcapng if_name), else its number as text; empty for pcap.
    pub interface: &'a str,
    /// Byte offset of the record in the (decompressed) file: orders the frames of one file.
    pub offset: u64,
    /// The captured bytes.
    pub data: &'a [u8],
}
