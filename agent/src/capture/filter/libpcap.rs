//! The system's libpcap, opened at run time: expression to classic BPF instructions.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Instruction;
use crate::frame::LinkType;

/// Names under which distributions install it: Debian's, then everyone else's.
const NAMES: [&CStr; 3] = [c"libpcap.so.0.8", c"libpcap.so.1", c"libpcap.so"];

/// `PCAP_NETMASK_UNKNOWN`: several interfaces have no one netmask.
const NETMASK_UNKNOWN: c_uint = 0xffff_ffff;

/// Why libpcap gave no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibpcapError {
    /// None of its names can be opened.
    #[error("cannot open libpcap, which compiles capture filters: {0}")]
    Missing(String),
    /// It has no such function: not a libpcap that we know.
    #[error("cannot use libpcap: it has no {0}")]
    Symbol(&'static str),
    /// It could not make a handle.
    #[error("cannot use libpcap: no memory for a handle")]
    Handle,
    /// The expression is not one.
    #[error("libpcap refuses the expression: {reason}")]
    Refused {
        /// libpcap's text.
        reason: String,
    },
}

/// `struct bpf_insn` of `<pcap/bpf.h>`.
#[repr(C)]
struct BpfInsn {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

/// `struct bpf_program` of `<pcap/bpf.h>`.
#[repr(C)]
struct BpfProgram {
    len: c_uint,
    instructions: *mut BpfInsn,
}

type Handle = *mut c_void;

/// The functions used, as `<pcap/pcap.h>` declares them.
struct Libpcap {
    open_dead: unsafe extern "C" fn(c_int, c_int) -> Handle,
    compile: unsafe extern "C" fn(Handle, *mut BpfProgram, *const c_char, c_int, c_uint) -> c_int,
    freecode: unsafe extern "C" fn(*mut BpfProgram),
    geterr: unsafe extern "C" fn(Handle) -> *mut c_char,
    close: unsafe extern "C" fn(Handle),
}

/// Compiles `expression`; the returned program is not yet checked.
pub(super) fn compile(
    expression: &str,
    link_type: LinkType,
    snaplen: u32,
) -> Result<Vec<Instruction>, LibpcapError> {
    static LIBRARY: OnceLock<Result<Libpcap, LibpcapError>> = OnceLock::new();
    // Before 1.8 its compiler kept its state in global variables.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let library = LIBRARY.get_or_init(Libpcap::open).as_ref();
    let library = library.map_err(Clone::clone)?;
    let text = CString::new(expression).map_err(|_| LibpcapError::Refused {
        reason: "it has a NUL byte".to_owned(),
    })?;
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    library.compile(&text, dlt(link_type), snaplen.clamp(1, i32::MAX as u32))
}

impl Libpcap {
    fn open() -> Result<Self, LibpcapError> {
        let mut reasons = Vec::new();
        for name in NAMES {
            // SAFETY: the name is a C string; libpcap's constructors have no preconditions.
            let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
            if !library.is_null() {
                // SAFETY: the handle is open and never closed, and the types are those of
                // <pcap/pcap.h>, unchanged since libpcap 0.9.
                return unsafe { Self::bind(library) };
            }
            // SAFETY: dlerror gives null or a C string that lives until the next dl call of
            // this thread.
            let text = unsafe { libc::dlerror() };
            if !text.is_null() {
                // SAFETY: as above.
                let text = unsafe { CStr::from_ptr(text) };
                reasons.push(text.to_string_lossy().into_owned());
            }
        }
        Err(LibpcapError::Missing(reasons.join("; ")))
    }

    /// # Safety
    /// `library` is an open libpcap that is never closed.
    unsafe fn bind(library: *mut c_void) -> Result<Self, LibpcapError> {
        let symbol = |name: &'static CStr, text: &'static str| {
            // SAFETY: the handle is open, the name is a C string.
            let address = unsafe { libc::dlsym(library, name.as_ptr()) };
            if address.is_null() {
                Err(LibpcapError::Symbol(text))
            } else {
                Ok(address)
            }
        };
        // SAFETY: a function's address to its declared type, see the callers' promise.
        unsafe {
            Ok(Self {
                open_dead: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(c_int, c_int) -> Handle,
                >(symbol(c"pcap_open_dead", "pcap_open_dead")?),
                compile: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        Handle,
                        *mut BpfProgram,
                        *const c_char,
                        c_int,
                        c_uint,
                    ) -> c_int,
                >(symbol(c"pcap_compile", "pcap_compile")?),
                freecode: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut BpfProgram)>(
                    symbol(c"pcap_freecode", "pcap_freecode")?,
                ),
                geterr: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(Handle) -> *mut c_char,
                >(symbol(c"pcap_geterr", "pcap_geterr")?),
                close: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Handle)>(symbol(
                    c"pcap_close",
                    "pcap_close",
                )?),
            })
        }
    }

    fn compile(
        &self,
        text: &CStr,
        dlt: c_int,
        snaplen: u32,
    ) -> Result<Vec<Instruction>, LibpcapError> {
        let mut program = BpfProgram {
            len: 0,
            instructions: std::ptr::null_mut(),
        };
        let snaplen = c_int::try_from(snaplen).unwrap_or(c_int::MAX);
        // SAFETY: a dead handle belongs to us until it is closed below; the program is filled
        // only where pcap_compile gives 0, is copied, and then freed once; the error text lives
        // in the handle.
        unsafe {
            let handle = (self.open_dead)(dlt, snaplen);
            if handle.is_null() {
                return Err(LibpcapError::Handle);
            }
            let status =
                (self.compile)(handle, &raw mut program, text.as_ptr(), 1, NETMASK_UNKNOWN);
            let result = if status == 0 {
                let copied = copy(&program);
                (self.freecode)(&raw mut program);
                Ok(copied)
            } else {
                let reason = CStr::from_ptr((self.geterr)(handle));
                Err(LibpcapError::Refused {
                    reason: reason.to_string_lossy().into_owned(),
                })
            };
            (self.close)(handle);
            result
        }
    }
}

/// # Safety
/// `program` is one that pcap_compile filled.
unsafe fn copy(program: &BpfProgram) -> Vec<Instruction> {
    if program.instructions.is_null() {
        return Vec::new();
    }
    // SAFETY: libpcap has `len` instructions there, aligned and initialised.
    let instructions =
        unsafe { std::slice::from_raw_parts(program.instructions, program.len as usize) };
    let copied = instructions.iter().map(|it| Instruction {
        code: it.code,
        jt: it.jt,
        jf: it.jf,
        k: it.k,
    });
    copied.collect()
}

/// libpcap's own number on Linux for a file's link type: they differ where systems once disagreed
/// (`dlt_choices` and `pcap-common.c`'s map).
fn dlt(link_type: LinkType) -> c_int {
    match link_type.0 {
        100 => 11,
        101 => 12,
        102 => 13,
        103 => 14,
        106 => 19,
        other => c_int::from(other),
    }
}
