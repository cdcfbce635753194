//! Small XDP programs in machine code, loaded and run by the system calls themselves.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

const BPF_MAP_CREATE: i32 = 0;
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_TEST_RUN: i32 = 10;
const MAP_TYPE_RINGBUF: u32 = 27;
const PROG_TYPE_XDP: u32 = 6;
/// The frames of a run are sent and received as if they had come over the wire (5.18).
const TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;

/// A program that is loaded.
pub(crate) struct RawProgram(OwnedFd);

impl RawProgram {
    /// The least that a program with a ring does, and its ring: reserve 64 bytes, submit them,
    /// pass the packet.
    pub(crate) fn least(ring_bytes: u32) -> (Self, OwnedFd) {
        // map_type, key_size, value_size, max_entries
        let attributes = words(&[MAP_TYPE_RINGBUF, 0, 0, ring_bytes]);
        let ring = descriptor(bpf(BPF_MAP_CREATE, attributes).unwrap().0);
        let program = Self::load(&[
            // r1 = ring; r2 = 64; r3 = 0; r0 = bpf_ringbuf_reserve(r1, r2, r3)
            instruction(0x18, 0x11, 0, ring.as_raw_fd()),
            instruction(0, 0, 0, 0),
            instruction(0xb7, 2, 0, 64),
            instruction(0xb7, 3, 0, 0),
            instruction(0x85, 0, 0, 131),
            // if r0 == 0 goto +3; r1 = r0; r2 = BPF_RB_NO_WAKEUP; bpf_ringbuf_submit(r1, r2)
            instruction(0x15, 0, 3, 0),
            instruction(0xbf, 0x01, 0, 0),
            instruction(0xb7, 2, 0, 1),
            instruction(0x85, 0, 0, 132),
            // return XDP_PASS
            instruction(0xb7, 0, 0, 2),
            instruction(0x95, 0, 0, 0),
        ]);
        (program, ring)
    }

    /// Sends each frame back to where it came from: returns XDP_TX.
    pub(crate) fn reflector() -> Self {
        Self::load(&[instruction(0xb7, 0, 0, 3), instruction(0x95, 0, 0, 0)])
    }

    fn load(code: &[u64]) -> Self {
        let mut attributes = words(&[PROG_TYPE_XDP, code.len() as u32]);
        put(&mut attributes, 8, code.as_ptr() as u64);
        put(&mut attributes, 16, c"GPL".as_ptr() as u64);
        Self(descriptor(bpf(BPF_PROG_LOAD, attributes).unwrap().0))
    }

    /// Runs it over a frame that no interface received; the time per run. `Interrupted` where a
    /// signal came before the last.
    pub(crate) fn run(&self, frame: &[u8], repeat: u32) -> io::Result<Duration> {
        let (_, after) = bpf(BPF_PROG_TEST_RUN, self.test_run(frame, repeat))?;
        let [retval, nanos] = [4, 36].map(|at| {
            let bytes: [u8; 4] = after[at..at + 4].try_into().unwrap();
            u32::from_ne_bytes(bytes)
        });
        assert_eq!(retval, crate::support::PASS);
        Ok(Duration::from_nanos(nanos.into()))
    }

    /// Lets an interface receive a frame again and again, and does with it what the program says.
    /// As [`RawProgram::run`], some may be missing.
    pub(crate) fn run_live(&self, frame: &[u8], repeat: u32, interface: u32) -> io::Result<()> {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
        let context = [0, frame.len() as u32, 0, interface, 0, 0];
        let mut attributes = self.test_run(frame, repeat);
        put(&mut attributes, 40, size_of_val(&context) as u64);
        put(&mut attributes, 48, context.as_ptr() as u64);
        // flags and cpu, then batch_size
        put(&mut attributes, 64, TEST_XDP_LIVE_FRAMES.into());
        put(&mut attributes, 72, 64);
        bpf(BPF_PROG_TEST_RUN, attributes).map(|_| ())
    }

    fn test_run(&self, frame: &[u8], repeat: u32) -> Attributes {
        // prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat, duration
        let mut attributes = words(&[self.0.as_raw_fd() as u32, 0, frame.len() as u32, 0]);
        put(&mut attributes, 16, frame.as_ptr() as u64);
        put(&mut attributes, 32, u64::from(repeat));
        attributes
    }
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
