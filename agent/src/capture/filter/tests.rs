//! The filter against libpcap's texts, hand-made programs and random ones.

use proptest::prelude::*;

use super::*;

const ETHERNET: LinkType = LinkType(1);

fn op(code: u16, k: u32) -> Instruction {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn run(instructions: &[Instruction], data: &[u8]) -> u32 {
    Filter::new(instructions).unwrap().run(data, 1000)
}

/// `None`, after saying so, where there is no libpcap.
fn compile(expression: &str) -> Option<Result<Filter, FilterError>> {
    match Filter::compile(expression, ETHERNET, 262_144) {
        Err(error @ FilterError::Libpcap(_)) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED: {error} ({})", error.hint());
            None
        }
        result => Some(result),
    }
}

#[test]
fn every_kind_of_instruction_computes() {
    let data = [0x45, 1, 2, 3, 0xff];
    let ret = op(0x16, 0);
    let x = |x| op(0x01, x);
    let cases: &[(&[Instruction], u32)] = &[
        (&[op(0x20, 0), ret], 0x4501_0203),
        (&[op(0x28, 1), ret], 0x0102),
        (&[op(0x30, 4), ret], 0xff),
        (&[op(0x30, 5), op(0x06, 9)], 0),
        (&[op(0x20, 2), op(0x06, 9)], 0),
        (&[x(1), op(0x40, 0), ret], 0x0102_03ff),
        (&[x(1), op(0x48, 2), ret], 0x03ff),
        (&[x(1), op(0x50, 2), ret], 3),
        (&[x(u32::MAX), op(0x50, 2), op(0x06, 9)], 0),
        (&[op(0x80, 0), ret], 1000),
        (&[op(0x81, 0), op(0x87, 0), ret], 1000),
        (&[op(0xb1, 0), op(0x87, 0), ret], 20),
        (
            &[op(0x00, 7), op(0x02, 15), op(0x00, 1), op(0x60, 15), ret],
            7,
        ),
        (&[x(8), op(0x03, 3), op(0x61, 3), op(0x87, 0), ret], 8),
        (
            &[op(0x00, 7), op(0x07, 0), op(0x00, 1), op(0x0c, 0), ret],
            8,
        ),
        (&[op(0x00, 7), op(0x04, 3), ret], 10),
        (&[op(0x00, 1), op(0x14, 3), ret], u32::MAX - 1),
        (&[op(0x00, 1 << 31), op(0x24, 3), ret], 1 << 31),
        (&[op(0x00, 7), op(0x34, 2), ret], 3),
        (&[op(0x00, 7), op(0x94, 4), ret], 3),
        (&[op(0x00, 7), x(0), op(0x3c, 0), op(0x06, 9)], 0),
        (&[op(0x00, 7), x(0), op(0x9c, 0), op(0x06, 9)], 0),
        (&[op(0x00, 5), op(0x44, 2), ret], 7),
        (&[op(0x00, 5), op(0x54, 4), ret], 4),
        (&[op(0x00, 5), op(0xa4, 1), ret], 4),
        (&[op(0x00, 5), op(0x64, 1), ret], 10),
        (&[op(0x00, 5), op(0x74, 1), ret], 2),
        (&[op(0x00, 5), x(32), op(0x6c, 0), op(0x04, 1), ret], 1),
        (&[op(0x00, 5), op(0x84, 0), ret], u32::MAX - 4),
        (&[op(0x05, 1), op(0x06, 1), op(0x06, 2)], 2),
        (
            &[op(0x00, 5), branch(0x15, 5, 0, 1), op(0x06, 1), op(0x06, 2)],
            1,
        ),
        (
            &[op(0x00, 5), branch(0x25, 5, 0, 1), op(0x06, 1), op(0x06, 2)],
            2,
        ),
        (
            &[op(0x00, 5), branch(0x35, 5, 0, 1), op(0x06, 1), op(0x06, 2)],
            1,
        ),
        (
            &[op(0x00, 5), branch(0x45, 2, 0, 1), op(0x06, 1), op(0x06, 2)],
            2,
        ),
        (
            &[
                op(0x00, 5),
                x(5),
                branch(0x1d, 0, 0, 1),
                op(0x06, 1),
                op(0x06, 2),
            ],
            1,
        ),
    ];
    for (program, expected) in cases {
        assert_eq!(run(program, &data), *expected, "{program:?}");
    }
}

#[test]
fn what_is_no_program_is_refused_with_its_place() {
    let ret = op(0x06, 1);
    let cases: &[(&[Instruction], ProgramError)] = &[
        (&[], ProgramError::Empty),
        (&[op(0x00, 1)], ProgramError::PastEnd { at: 0 }),
        (&[op(0x05, 1), ret], ProgramError::PastEnd { at: 0 }),
        (
            &[ret, op(0x05, u32::MAX), ret],
            ProgramError::Backwards { at: 1 },
        ),
        (
            &[branch(0x15, 0, 0, 1), ret],
            ProgramError::PastEnd { at: 0 },
        ),
        (&[op(0x34, 0), ret], ProgramError::DivisionByZero { at: 0 }),
        (&[op(0x94, 0), ret], ProgramError::DivisionByZero { at: 0 }),
        (&[op(0x64, 32), ret], ProgramError::Shift { at: 0, by: 32 }),
        (
            &[op(0x60, 16), ret],
            ProgramError::Memory { at: 0, word: 16 },
        ),
        (
            &[op(0x02, 16), ret],
            ProgramError::Memory { at: 0, word: 16 },
        ),
        (
            &[op(0xff, 0), ret],
            ProgramError::Unknown { at: 0, code: 0xff },
        ),
        (
            &[op(0x28, 0xffff_f02c), ret],
            ProgramError::Extension {
                at: 0,
                offset: -4052,
            },
        ),
    ];
    for (program, expected) in cases {
        assert_eq!(&Filter::new(program).unwrap_err(), expected);
    }
    let long = vec![ret; 4097];
    assert_eq!(Filter::new(&long).unwrap_err(), ProgramError::TooLong(4097));
    let vlan = Filter::new(&[op(0x28, 0xffff_f02c), ret]).unwrap_err();
    assert_eq!(
        vlan.to_string(),
        "instruction 0 asks the Linux kernel, not the packet \
         (VLAN tag taken off by the network card, offset -4052)"
    );
}

#[test]
fn the_text_of_tcpdump_is_read() {
    let text = "4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n";
    let filter = Filter::from_decimal("f", text).unwrap();
    let mut frame = [0; 60];
    assert_eq!(filter.run(&frame, 60), 0);
    frame[12] = 8;
    assert_eq!(filter.run(&frame, 60), 262_144);
    for (text, line) in [
        ("", 1),
        ("2\n6 0 0 0\n", 1),
        ("1\n6 0 0\n", 2),
        ("1\n6 0 300 0", 2),
    ] {
        let error = Filter::from_decimal("f", text).unwrap_err();
        let wrong = matches!(&error, FilterError::Program { reason: ProgramError::Text { line: l }, .. } if *l == line);
        assert!(wrong, "{text:?}: {error}");
    }
}

#[test]
fn a_wrong_expression_names_its_column() {
    let cases = [
        ("tcp port 80 and and udp", Some(17)),
        ("tcp prot 80", Some(5)),
        ("(tcp or udp", Some(12)),
        ("tcp or udp)", Some(11)),
        ("tcp and port", Some(13)),
        ("tcp[0 = 1", Some(7)),
        ("ip and port nosuchportname", Some(13)),
        ("ip broadcast", Some(1)),
    ];
    for (expression, expected) in cases {
        let Some(result) = compile(expression) else {
            return;
        };
        match result.unwrap_err() {
            FilterError::Expression { column, reason, .. } => {
                assert!(!reason.is_empty());
                assert_eq!(column, expected, "{expression}: {reason}");
            }
            other => panic!("{expression}: {other}"),
        }
    }
}

#[test]
fn what_only_the_kernel_knows_is_refused() {
    for (expression, hint) in [
        ("inbound", "no inbound"),
        ("ip6 protochain 6", "protochain"),
    ] {
        let Some(result) = compile(expression) else {
            return;
        };
        let error = result.unwrap_err();
        assert!(matches!(error, FilterError::Program { .. }), "{error}");
        assert!(error.hint().contains(hint), "{error}");
    }
}

#[test]
fn the_empty_expression_lets_all_through() {
    let Some(filter) = compile("") else { return };
    assert!(filter.unwrap().accepts(&[], 0));
}

/// Codes that mean something, so that random programs get past the check.
fn instruction() -> impl Strategy<Value = Instruction> {
    let codes = prop::sample::select(vec![
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x1c, 0x1d, 0x16, 0x20,
        0x24, 0x25, 0x28, 0x30, 0x34, 0x35, 0x3c, 0x40, 0x44, 0x45, 0x48, 0x50, 0x54, 0x60, 0x61,
        0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xac, 0xb1, 0xff,
    ]);
    let k = prop_oneof![4 => 0..20_u32, 1 => any::<u32>()];
    (codes, 0..4_u8, 0..4_u8, k).prop_map(|(code, jt, jf, k)| Instruction { code, jt, jf, k })
}

proptest! {
    #[test]
    fn random_programs_end(
        mut program in prop::collection::vec(instruction(), 0..40),
        data in prop::collection::vec(any::<u8>(), 0..80),
        wire_len: u32,
    ) {
        // Room for the jumps at the end.
        program.extend([op(0x16, 0); 5]);
        // Wrong instructions are left out, so that most programs run.
        program.retain(|it| Filter::new(&[*it, op(6, 0), op(6, 0), op(6, 0), op(6, 0), op(6, 0)]).is_ok());
        let filter = Filter::new(&program).unwrap();
        filter.run(&data, wire_len);
    }

    #[test]
    fn random_bytes_never_panic(
        program in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), any::<u32>()), 0..12),
        data in prop::collection::vec(any::<u8>(), 0..80),
        text: String,
    ) {
        let program: Vec<Instruction> = program
            .into_iter()
            .map(|(code, jt, jf, k)| Instruction { code, jt, jf, k })
            .collect();
        if let Ok(filter) = Filter::new(&program) {
            filter.run(&data, 60);
        }
        let _ = Filter::from_decimal("random", &text);
        let _ = expression::column(&text, "syntax error", |_| false);
        let _ = expression::column(&text, &text, |_| true);
    }
}
