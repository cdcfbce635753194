//! Time that the kernel program takes of each packet, without any interface.

use std::time::Duration;

use super::SelfTestError;
use crate::capture::{
    Interface, InterfaceConfig, PacketRings, Program, Settings, TupleRings, list,
};

/// Packets per run: fewer than fit into a ring, so that none is lost.
const REPEAT: u32 = 5_000;
const RING_BYTES: u32 = 16 << 20;
const RUNS: usize = 15;

/// One way to use the program.
#[derive(Clone, Debug)]
pub struct Cost {
    /// What it does with each packet.
    pub name: &'static str,
    /// The median time of a packet.
    pub time: Duration,
}

/// What the program costs.
#[derive(Clone, Debug)]
pub struct Costs {
    /// Of a program that only reserves and submits 64 bytes.
    pub least: Duration,
    /// Of ours.
    pub ours: Vec<Cost>,
}

/// Name, length of the packets, whether their bytes are wanted.
const CASES: [(&str, u16, bool); 3] = [
    ("tuple alone", 64, false),
    ("tuple and 128 bytes", 128, true),
    ("tuple and 1500 bytes", 1_500, true),
];

pub(super) fn measure(rings: Settings) -> Result<Costs, SelfTestError> {
    let loopback = list()?
        .into_iter()
        .find(|interface| interface.index == 1)
        .ok_or_else(|| SelfTestError::network("find the loopback interface")(missing()))?;
    let ours = CASES
        .iter()
        .map(|(name, bytes, packets)| {
            let time = ours(rings, &loopback, *bytes, *packets)?;
            Ok(Cost { name, time })
        })
        .collect::<Result<_, SelfTestError>>()?;
    Ok(Costs {
        least: least()?,
        ours,
    })
}

fn missing() -> std::io::Error {
    std::io::ErrorKind::NotFound.into()
}

fn ours(
    rings: Settings,
    loopback: &Interface,
    bytes: u16,
    packets: bool,
) -> Result<Duration, SelfTestError> {
    let mut program = Program::load(&Settings {
        tuple_ring_bytes: RING_BYTES,
        packet_ring_bytes: RING_BYTES,
        ..rings
    })?;
    let config = InterfaceConfig {
        slot: 0,
        snaplen: 0,
        packets,
        tuples: true,
        joined: true,
    };
    program.configure(loopback, config)?;
    let fds = program.map_fds()?;
    let mut tuples = TupleRings::from_fds(fds.tuples)?;
    let mut packets = PacketRings::from_fds(fds.packets)?;
    let frame = agent_probe::frame(bytes);
    median(|| {
        let result = program.test_run(&frame, REPEAT);
        let (_, time) = result.map_err(SelfTestError::network("run the kernel program"))?;
        tuples.drain(usize::MAX, |_| {});
        packets.drain(usize::MAX, |_| {});
        Ok(time)
    })
}

fn least() -> Result<Duration, SelfTestError> {
    let (program, ring) = agent_probe::Program::least(RING_BYTES)
        .map_err(SelfTestError::network("load the least program"))?;
    let mut ring = TupleRings::from_fds(vec![ring])?;
    let frame = agent_probe::frame(64);
    median(|| {
        let result = program.time(&frame, REPEAT);
        let time = result.map_err(SelfTestError::network("run the least program"))?;
        // Its records are none of ours; only their room is wanted back.
        ring.drain(usize::MAX, |_| {});
        Ok(time)
    })
}

fn median(
    mut run: impl FnMut() -> Result<Duration, SelfTestError>,
) -> Result<Duration, SelfTestError> {
    let mut times = (0..RUNS).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times[RUNS / 2])
}
