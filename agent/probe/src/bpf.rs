//! Small programs in machine code, loaded and run by the system calls themselves.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

const BPF_MAP_CREATE: i32 = 0;
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_TEST_RUN: i32 = 10;
const BPF_LINK_CREATE: i32 = 28;
const MAP_TYPE_RINGBUF: u32 = 27;
const PROG_TYPE_SCHED_CLS: u32 = 3;
const PROG_TYPE_XDP: u32 = 6;
const TCX_EGRESS: u32 = 47;
/// The frames of a run are sent and received as if they had come over the wire (5.18).
const TEST_XDP_LIVE_FRAMES: u64 = 1 << 1;
/// Frames that the sender hands to the interface at once; its queue has room for 256.
const LIVE_BATCH: u64 = 64;

/// `bpf_get_prandom_u32`, `bpf_skb_vlan_push`, `bpf_ringbuf_reserve`, `bpf_ringbuf_submit`.
const RANDOM: i32 = 7;
const VLAN_PUSH: i32 = 18;
const RESERVE: i32 = 131;
const SUBMIT: i32 = 132;
const XDP_PASS: i32 = 2;
const XDP_TX: i32 = 3;
const TCX_NEXT: i32 = -1;

/// A program that is loaded.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl Program {
    /// The least that a program with a ring does, and its ring: reserve 64 bytes, submit them,
    /// pass the packet.
    ///
    /// # Errors
    /// If the kernel does not let this process.
    pub fn least(ring_bytes: u32) -> io::Result<(Self, OwnedFd)> {
        // map_type, key_size, value_size, max_entries
        let attributes = words(&[MAP_TYPE_RINGBUF, 0, 0, ring_bytes]);
        let ring = descriptor(bpf(BPF_MAP_CREATE, attributes)?.0);
        let program = Self::load(&[
            // r1 = ring; r2 = 64; r3 = 0; r0 = reserve(r1, r2, r3)
            instruction(0x18, 0x11, 0, ring.as_raw_fd()),
            instruction(0, 0, 0, 0),
            instruction(0xb7, 2, 0, 64),
            instruction(0xb7, 3, 0, 0),
            instruction(0x85, 0, 0, RESERVE),
            // if r0 == 0 goto +3; r1 = r0; r2 = BPF_RB_NO_WAKEUP; submit(r1, r2)
            instruction(0x15, 0, 3, 0),
            instruction(0xbf, 0x01, 0, 0),
            instruction(0xb7, 2, 0, 1),
            instruction(0x85, 0, 0, SUBMIT),
            instruction(0xb7, 0, 0, XDP_PASS),
            instruction(0x95, 0, 0, 0),
        ])?;
        Ok((program, ring))
    }

    /// Gives each frame another source address and port by chance, and sends it back to where it
    /// came from. Frames must be as [`frame`] makes them.
    ///
    /// # Errors
    /// If the kernel does not let this process.
    pub fn sender() -> io::Result<Self> {
        Self::load(&[
            // r6 = context; r0 = random
            instruction(0xbf, 0x16, 0, 0),
            instruction(0x85, 0, 0, RANDOM),
            // r2 = data; r3 = data_end; if r2 + 42 > r3 goto +4
            instruction(0x61, 0x62, 0, 0),
            instruction(0x61, 0x63, 4, 0),
            instruction(0xbf, 0x24, 0, 0),
            instruction(0x07, 4, 0, 42),
            instruction(0x2d, 0x34, 3, 0),
            // The low half of the source address; the source port
            instruction(0x6b, 0x02, 28, 0),
            instruction(0x77, 0, 0, 16),
            instruction(0x6b, 0x02, 34, 0),
            instruction(0xb7, 0, 0, XDP_TX),
            instruction(0x95, 0, 0, 0),
        ])
    }

    /// Sends each frame back to where it came from, as it is.
    ///
    /// # Errors
    /// If the kernel does not let this process.
    pub fn reflector() -> io::Result<Self> {
        Self::load(&[instruction(0xb7, 0, 0, XDP_TX), instruction(0x95, 0, 0, 0)])
    }

    /// Gives each frame that the interface sends a VLAN tag (EtherType, control information), which
    /// the card is to insert, until the descriptor is closed. Programs that are attached later see
    /// the tag.
    ///
    /// # Errors
    /// If the kernel is older than 6.6 or does not let this process.
    pub fn tag_sent(interface: u32, ethertype: u16, control: u16) -> io::Result<OwnedFd> {
        let program = Self::load_as(
            PROG_TYPE_SCHED_CLS,
            &[
                // vlan_push(context, r2 = ethertype in network order, r3 = control)
                instruction(0xb7, 2, 0, ethertype.to_be().into()),
                instruction(0xb7, 3, 0, control.into()),
                instruction(0x85, 0, 0, VLAN_PUSH),
                instruction(0xb7, 0, 0, TCX_NEXT),
                instruction(0x95, 0, 0, 0),
            ],
        )?;
        // prog_fd, target_ifindex, attach_type, flags
        let attributes = words(&[program.0.as_raw_fd() as u32, interface, TCX_EGRESS, 0]);
        Ok(descriptor(bpf(BPF_LINK_CREATE, attributes)?.0))
    }

    fn load(code: &[u64]) -> io::Result<Self> {
        Self::load_as(PROG_TYPE_XDP, code)
    }

    fn load_as(kind: u32, code: &[u64]) -> io::Result<Self> {
        let mut attributes = words(&[kind, code.len() as u32]);
        put(&mut attributes, 8, code.as_ptr() as u64);
        put(&mut attributes, 16, c"GPL".as_ptr() as u64);
        Ok(Self(descriptor(bpf(BPF_PROG_LOAD, attributes)?.0)))
    }

    /// Runs it over a frame that no interface received; its verdict, and the time per run.
    ///
    /// # Errors
    /// If the kernel refuses the frame; `Interrupted` where a signal came before the last run.
    pub fn run(&self, frame: &[u8], repeat: u32) -> io::Result<(u32, Duration)> {
        let (_, after) = bpf(BPF_PROG_TEST_RUN, self.test_run(frame, repeat))?;
        let word = |at: usize| {
            let bytes = after.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |it| u32::from_ne_bytes(*it))
        };
        Ok((word(4), Duration::from_nanos(word(36).into())))
    }

    /// As [`Self::run`], the time alone.
    ///
    /// # Errors
    /// As there.
    pub fn time(&self, frame: &[u8], repeat: u32) -> io::Result<Duration> {
        self.run(frame, repeat).map(|(_, time)| time)
    }

    /// Lets an interface receive a frame again and again, and does with it what the program says.
    ///
    /// # Errors
    /// If the kernel is older than 5.18, or the interface is gone.
    pub fn run_live(&self, frame: &[u8], repeat: u32, interface: u32) -> io::Result<()> {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
        let context = [0, frame.len() as u32, 0, interface, 0, 0];
        let mut attributes = self.test_run(frame, repeat);
        put(&mut attributes, 40, size_of_val(&context) as u64);
        put(&mut attributes, 48, context.as_ptr() as u64);
        // flags and cpu, then batch_size
        put(&mut attributes, 64, TEST_XDP_LIVE_FRAMES);
        put(&mut attributes, 72, LIVE_BATCH);
        bpf(BPF_PROG_TEST_RUN, attributes).map(drop)
    }

    fn test_run(&self, frame: &[u8], repeat: u32) -> Attributes {
        // prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat, duration
        let mut attributes = words(&[self.0.as_raw_fd() as u32, 0, frame.len() as u32, 0]);
        put(&mut attributes, 16, frame.as_ptr() as u64);
        put(&mut attributes, 32, u64::from(repeat));
        attributes
    }
}

/// A UDP datagram over IPv4 in an Ethernet frame of so many bytes, 42 or more, to an address that
/// is not ours: the stack behind the tap lets it go at once.
#[must_use]
pub fn frame(bytes: u16) -> Vec<u8> {
    let ip_bytes = bytes.max(42) - 14;
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0]);
    frame.extend(ip_bytes.to_be_bytes());
    // Identification, do not fragment, 64 hops, UDP, and a checksum that stays unset: nobody
    // who only captures looks at it.
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend([10, 0, 0, 0, 192, 0, 2, 1]);
    frame.extend([0, 0, 0x14, 0xe9]);
    frame.extend((ip_bytes - 20).to_be_bytes());
    frame.resize(14 + usize::from(ip_bytes), 0x5a);
    frame
}

/// One instruction (`struct bpf_insn`): operation, registers (source, destination), offset, value.
const fn instruction(op: u8, registers: u8, offset: i16, value: i32) -> u64 {
    let [v0, v1, v2, v3] = value.to_le_bytes();
    let [o0, o1] = offset.to_le_bytes();
    u64::from_ne_bytes([op, registers, o0, o1, v0, v1, v2, v3])
}

/// The argument of the system call (`union bpf_attr`), as far as it is used.
type Attributes = [u8; 128];

fn words(values: &[u32]) -> Attributes {
    let mut attributes = [0; 128];
    for (to, value) in attributes.chunks_exact_mut(4).zip(values) {
        to.copy_from_slice(&value.to_ne_bytes());
    }
    attributes
}

fn put(attributes: &mut Attributes, at: usize, value: u64) {
    attributes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

fn bpf(command: i32, attributes: Attributes) -> io::Result<(i32, Attributes)> {
    #[repr(C, align(8))]
    struct Aligned(Attributes);
    let mut argument = Aligned(attributes);
    // SAFETY: the argument is zero beyond what the command reads, and what it points to outlives
    // the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw mut argument,
            size_of::<Aligned>(),
        )
    };
    match i32::try_from(result) {
        Ok(result @ 0..) => Ok((result, argument.0)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn descriptor(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just given us this descriptor.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_length_that_its_headers_say() {
        for bytes in [42, 64, 1514, 9000] {
            let frame = frame(bytes);
            assert_eq!(frame.len(), usize::from(bytes));
            assert_eq!(frame[16..18], (bytes - 14).to_be_bytes());
            assert_eq!(frame[38..40], (bytes - 34).to_be_bytes());
        }
        assert_eq!(frame(0).len(), 42);
    }
}
