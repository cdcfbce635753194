//! Capture files: bytes of a pcap or pcapng file, compressed or not, to frames.
//!
//! Knows nothing of what is inside a frame.
