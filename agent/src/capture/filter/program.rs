//! Classic BPF instructions, checked and decoded: every jump goes forward to an instruction.

/// One instruction as `struct bpf_insn` has it (McCanne and Jacobson, 1993; `bpf(4)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip when a test holds.
    pub jt: u8,
    /// Instructions to skip when a test fails.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Instructions that a program may have (`BPF_MAXINSNS` of Linux).
const MAX_INSTRUCTIONS: usize = 4096;

/// Words of scratch memory (`BPF_MEMWORDS`).
pub(super) const SCRATCH: usize = 16;

/// Offsets from here on mean something else than the packet to Linux (`SKF_LL_OFF`).
const EXTENSIONS: u32 = 0xffe0_0000;

/// Why instructions are not a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is none.
    #[error("the program is empty")]
    Empty,
    /// It is longer than Linux would take.
    #[error("the program has {0} instructions, more than {MAX_INSTRUCTIONS}")]
    TooLong(usize),
    /// Not an instruction of classic BPF.
    #[error("instruction {at} has the unknown code {code:#06x}")]
    Unknown {
        /// Its number, from 0.
        at: usize,
        /// Its code.
        code: u16,
    },
    /// It would go on past the end.
    #[error("instruction {at} goes on past the end of the program")]
    PastEnd {
        /// Its number, from 0.
        at: usize,
    },
    /// It would loop.
    #[error("instruction {at} jumps backwards")]
    Backwards {
        /// Its number, from 0.
        at: usize,
    },
    /// It divides by the constant 0.
    #[error("instruction {at} divides by zero")]
    DivisionByZero {
        /// Its number, from 0.
        at: usize,
    },
    /// It shifts by a constant of 32 or more.
    #[error("instruction {at} shifts 32 bits by {by}")]
    Shift {
        /// Its number, from 0.
        at: usize,
        /// How far.
        by: u32,
    },
    /// It names scratch memory that there is not.
    #[error("instruction {at} names word {word} of {SCRATCH} words of memory")]
    Memory {
        /// Its number, from 0.
        at: usize,
        /// The word.
        word: u32,
    },
    /// A load from Linux's extension area.
    #[error("instruction {at} asks the Linux kernel, not the packet ({})", extension(*.offset))]
    Extension {
        /// Its number, from 0.
        at: usize,
        /// The offset as a signed number.
        offset: i32,
    },
    /// Text that `tcpdump -ddd` does not print.
    #[error("line {line} is not what tcpdump -ddd prints")]
    Text {
        /// From 1.
        line: usize,
    },
}

/// What Linux has at a negative offset (`<linux/filter.h>`).
fn extension(offset: i32) -> String {
    let name = match offset.wrapping_add(0x1000) {
        0 => "protocol",
        4 => "packet type: inbound or outbound",
        8 => "interface index",
        12 | 16 => "netlink attribute",
        20 => "mark",
        24 => "queue",
        28 => "ARPHRD type",
        32 => "receive hash",
        36 => "CPU",
        44 | 48 | 60 => "VLAN tag taken off by the network card",
        _ => "negative offset",
    };
    format!("{name}, offset {offset}")
}

/// A register or a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    K(u32),
    X,
}

/// What a register is set to, other than from the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Constant(u32),
    WireLength,
    Scratch(usize),
}

/// Bytes of a load, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Word,
    Half,
    Byte,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Or,
    And,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

/// A checked instruction; jump targets are instruction numbers greater than its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    LoadPacket {
        width: Width,
        offset: u32,
        indexed: bool,
    },
    /// X = 4 times the low half of the byte at the offset: an IPv4 header's length.
    LoadHeaderLength {
        offset: u32,
    },
    LoadA(Value),
    LoadX(Value),
    StoreA(usize),
    StoreX(usize),
    Arithmetic(Arithmetic, Operand),
    Negate,
    AToX,
    XToA,
    Jump(usize),
    Branch {
        test: Test,
        with: Operand,
        yes: usize,
        no: usize,
    },
    Return(u32),
    ReturnA,
}

/// Checks and decodes a program, so that running it cannot fail.
pub(super) fn check(instructions: &[Instruction]) -> Result<Vec<Op>, ProgramError> {
    if instructions.is_empty() {
        return Err(ProgramError::Empty);
    }
    if instructions.len() > MAX_INSTRUCTIONS {
        return Err(ProgramError::TooLong(instructions.len()));
    }
    let numbered = instructions.iter().enumerate();
    numbered
        .map(|(at, it)| {
            let op = decode(at, *it)?;
            ends_in_range(at, op, instructions.len())?;
            Ok(op)
        })
        .collect()
}

/// Every way on from `op` stays below `len`.
fn ends_in_range(at: usize, op: Op, len: usize) -> Result<(), ProgramError> {
    let last = match op {
        Op::Return(_) | Op::ReturnA => return Ok(()),
        // A jump is an unsigned addition: what wraps around is meant to go back.
        Op::Jump(to) if to >= 1 << 31 => {
            return Err(ProgramError::Backwards { at });
        }
        Op::Jump(to) => to,
        Op::Branch { yes, no, .. } => yes.max(no),
        _ => at + 1,
    };
    if last < len {
        Ok(())
    } else {
        Err(ProgramError::PastEnd { at })
    }
}

// The fields of a code (`<linux/bpf_common.h>`).
const CLASS: u16 = 0x07;
const FROM_X: u16 = 0x08;

fn decode(at: usize, it: Instruction) -> Result<Op, ProgramError> {
    let unknown = ProgramError::Unknown { at, code: it.code };
    let operand = if it.code & FROM_X == 0 {
        Operand::K(it.k)
    } else {
        Operand::X
    };
    Ok(match it.code & CLASS {
        0x00 => decode_load(at, it)?,
        0x01 => match it.code {
            0x01 => Op::LoadX(Value::Constant(it.k)),
            0x61 => Op::LoadX(Value::Scratch(scratch(at, it.k)?)),
            0x81 => Op::LoadX(Value::WireLength),
            0xb1 => Op::LoadHeaderLength {
                offset: packet_offset(at, it.k)?,
            },
            _ => return Err(unknown),
        },
        0x02 if it.code == 0x02 => Op::StoreA(scratch(at, it.k)?),
        0x03 if it.code == 0x03 => Op::StoreX(scratch(at, it.k)?),
        0x04 if it.code == 0x84 => Op::Negate,
        0x04 => decode_arithmetic(at, it, operand)?,
        0x05 if it.code == 0x05 => Op::Jump(at + 1 + it.k as usize),
        0x05 => Op::Branch {
            test: match it.code & !(CLASS | FROM_X) {
                0x10 => Test::Equal,
                0x20 => Test::Greater,
                0x30 => Test::GreaterOrEqual,
                0x40 => Test::AnyBit,
                _ => return Err(unknown),
            },
            with: operand,
            yes: at + 1 + usize::from(it.jt),
            no: at + 1 + usize::from(it.jf),
        },
        0x06 if it.code == 0x06 => Op::Return(it.k),
        0x06 if it.code == 0x16 => Op::ReturnA,
        0x07 if it.code == 0x07 => Op::AToX,
        0x07 if it.code == 0x87 => Op::XToA,
        _ => return Err(unknown),
    })
}

/// Loads of the accumulator.
fn decode_load(at: usize, it: Instruction) -> Result<Op, ProgramError> {
    let (width, indexed) = match it.code {
        0x00 => return Ok(Op::LoadA(Value::Constant(it.k))),
        0x60 => return Ok(Op::LoadA(Value::Scratch(scratch(at, it.k)?))),
        0x80 => return Ok(Op::LoadA(Value::WireLength)),
        0x20 => (Width::Word, false),
        0x28 => (Width::Half, false),
        0x30 => (Width::Byte, false),
        0x40 => (Width::Word, true),
        0x48 => (Width::Half, true),
        0x50 => (Width::Byte, true),
        code => return Err(ProgramError::Unknown { at, code }),
    };
    Ok(Op::LoadPacket {
        width,
        offset: packet_offset(at, it.k)?,
        indexed,
    })
}

fn decode_arithmetic(at: usize, it: Instruction, operand: Operand) -> Result<Op, ProgramError> {
    let what = match it.code & !(CLASS | FROM_X) {
        0x00 => Arithmetic::Add,
        0x10 => Arithmetic::Subtract,
        0x20 => Arithmetic::Multiply,
        0x30 => Arithmetic::Divide,
        0x40 => Arithmetic::Or,
        0x50 => Arithmetic::And,
        0x60 => Arithmetic::ShiftLeft,
        0x70 => Arithmetic::ShiftRight,
        0x90 => Arithmetic::Modulo,
        0xa0 => Arithmetic::Xor,
        _ => return Err(ProgramError::Unknown { at, code: it.code }),
    };
    match (what, operand) {
        (Arithmetic::Divide | Arithmetic::Modulo, Operand::K(0)) => {
            Err(ProgramError::DivisionByZero { at })
        }
        (Arithmetic::ShiftLeft | Arithmetic::ShiftRight, Operand::K(by)) if by >= 32 => {
            Err(ProgramError::Shift { at, by })
        }
        _ => Ok(Op::Arithmetic(what, operand)),
    }
}

fn scratch(at: usize, word: u32) -> Result<usize, ProgramError> {
    match word as usize {
        index if index < SCRATCH => Ok(index),
        _ => Err(ProgramError::Memory { at, word }),
    }
}

fn packet_offset(at: usize, offset: u32) -> Result<u32, ProgramError> {
    if offset < EXTENSIONS {
        Ok(offset)
    } else {
        Err(ProgramError::Extension {
            at,
            offset: offset.cast_signed(),
        })
    }
}

impl Instruction {
    /// Reads what `tcpdump -ddd` prints: the number of instructions, then one a line as
    /// `code jt jf k` in decimal.
    pub fn parse_decimal(text: &str) -> Result<Vec<Self>, ProgramError> {
        let mut lines = (1..).zip(text.lines());
        let count = lines
            .next()
            .and_then(|(_, line)| line.trim().parse::<usize>().ok())
            .ok_or(ProgramError::Text { line: 1 })?;
        let mut instructions = Vec::new();
        for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
            let read = Self::parse_line(text).ok_or(ProgramError::Text { line })?;
            if instructions.len() == MAX_INSTRUCTIONS {
                return Err(ProgramError::TooLong(instructions.len() + 1));
            }
            instructions.push(read);
        }
        if instructions.len() == count {
            Ok(instructions)
        } else {
            Err(ProgramError::Text { line: 1 })
        }
    }

    fn parse_line(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace();
        let read = Self {
            code: numbers.next()?.parse().ok()?,
            jt: numbers.next()?.parse().ok()?,
            jf: numbers.next()?.parse().ok()?,
            k: numbers.next()?.parse().ok()?,
        };
        numbers.next().is_none().then_some(read)
    }
}
