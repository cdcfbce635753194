//! Runs a checked classic BPF program over a packet, as libpcap's `bpf_filter` does.

use super::program::{
    Arithmetic, Instruction, Op, Operand, ProgramError, SCRATCH, Test, Value, Width, check,
};

/// A capture filter, ready to run.
#[derive(Clone, Debug)]
pub struct Filter(Vec<Op>);

struct Machine<'a> {
    a: u32,
    x: u32,
    scratch: [u32; SCRATCH],
    data: &'a [u8],
    wire_len: u32,
}

/// What a program's last step says: the bytes to keep of the packet.
type Verdict = u32;

/// A packet that is too short for a load, or a division by zero.
const REJECT: Verdict = 0;

impl Filter {
    /// Checks `instructions`.
    pub fn new(instructions: &[Instruction]) -> Result<Self, ProgramError> {
        check(instructions).map(Self)
    }

    /// Whether the packet passes: `data` was captured of `wire_len` bytes.
    pub fn accepts(&self, data: &[u8], wire_len: u32) -> bool {
        self.run(data, wire_len) != REJECT
    }

    /// The number of bytes to keep of the packet, 0 where it does not pass.
    pub fn run(&self, data: &[u8], wire_len: u32) -> u32 {
        let mut machine = Machine {
            a: 0,
            x: 0,
            scratch: [0; SCRATCH],
            data,
            wire_len,
        };
        let mut at = 0;
        // Each step goes forward (`program::check`), so that this ends.
        while let Some(op) = self.0.get(at) {
            match machine.step(*op) {
                Step::Next => at += 1,
                Step::To(target) => at = target,
                Step::End(verdict) => return verdict,
            }
        }
        REJECT
    }
}

enum Step {
    Next,
    To(usize),
    End(Verdict),
}

impl Machine<'_> {
    #[inline]
    fn step(&mut self, op: Op) -> Step {
        match op {
            Op::LoadPacket {
                width,
                offset,
                indexed,
            } => match self.load(width, offset, indexed) {
                Some(value) => self.a = value,
                None => return Step::End(REJECT),
            },
            Op::LoadHeaderLength { offset } => match self.load(Width::Byte, offset, false) {
                Some(value) => self.x = (value & 0x0f) * 4,
                None => return Step::End(REJECT),
            },
            Op::LoadA(value) => self.a = self.value(value),
            Op::LoadX(value) => self.x = self.value(value),
            Op::StoreA(word) => self.store(word, self.a),
            Op::StoreX(word) => self.store(word, self.x),
            Op::Arithmetic(what, operand) => match compute(what, self.a, self.operand(operand)) {
                Some(value) => self.a = value,
                None => return Step::End(REJECT),
            },
            Op::Negate => self.a = self.a.wrapping_neg(),
            Op::AToX => self.x = self.a,
            Op::XToA => self.a = self.x,
            Op::Jump(target) => return Step::To(target),
            Op::Branch {
                test,
                with,
                yes,
                no,
            } => {
                let holds = holds(test, self.a, self.operand(with));
                return Step::To(if holds { yes } else { no });
            }
            Op::Return(verdict) => return Step::End(verdict),
            Op::ReturnA => return Step::End(self.a),
        }
        Step::Next
    }

    fn load(&self, width: Width, offset: u32, indexed: bool) -> Option<u32> {
        let offset = if indexed {
            offset.checked_add(self.x)?
        } else {
            offset
        };
        let rest = self.data.get(offset as usize..)?;
        match width {
            Width::Word => rest.first_chunk().copied().map(u32::from_be_bytes),
            Width::Half => rest
                .first_chunk()
                .map(|half| u16::from_be_bytes(*half).into()),
            Width::Byte => rest.first().copied().map(u32::from),
        }
    }

    fn value(&self, value: Value) -> u32 {
        match value {
            Value::Constant(k) => k,
            Value::WireLength => self.wire_len,
            Value::Scratch(word) => self.scratch.get(word).copied().unwrap_or(0),
        }
    }

    fn store(&mut self, word: usize, value: u32) {
        if let Some(place) = self.scratch.get_mut(word) {
            *place = value;
        }
    }

    fn operand(&self, operand: Operand) -> u32 {
        match operand {
            Operand::K(k) => k,
            Operand::X => self.x,
        }
    }
}

fn compute(what: Arithmetic, a: u32, b: u32) -> Option<u32> {
    Some(match what {
        Arithmetic::Add => a.wrapping_add(b),
        Arithmetic::Subtract => a.wrapping_sub(b),
        Arithmetic::Multiply => a.wrapping_mul(b),
        Arithmetic::Divide => a.checked_div(b)?,
        Arithmetic::Modulo => a.checked_rem(b)?,
        Arithmetic::Or => a | b,
        Arithmetic::And => a & b,
        Arithmetic::Xor => a ^ b,
        Arithmetic::ShiftLeft => a.checked_shl(b).unwrap_or(0),
        Arithmetic::ShiftRight => a.checked_shr(b).unwrap_or(0),
    })
}

fn holds(test: Test, a: u32, b: u32) -> bool {
    match test {
        Test::Equal => a == b,
        Test::Greater => a > b,
        Test::GreaterOrEqual => a >= b,
        Test::AnyBit => a & b != 0,
    }
}
