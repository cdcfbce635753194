//! Recording: from the rings of the kernel program to files, with every packet accounted for.
//!
//! ```text
//! Attacher (privileged) --changes--> worker: rings -> drain -> blocks -> writer -> Output
//! ```
//!
//! Without packet rings it is the tuples that go this way (`tuples.rs`), as blocks of tuples.
//!
//! Invariant: of each interface, packets seen = stored + dropped by reason + left out on purpose
//! (filter, `-c`, the agent's own); [`Sample::on_their_way`] is zero at the end.

mod attacher;
mod board;
mod counts;
mod drain;
mod event;
mod house;
mod keep;
mod nowhere;
mod opened;
mod own;
mod published;
mod room;
mod sample;
pub mod self_test;
mod slots;
mod status;
mod steady;
mod stream;
mod tuples;
mod worker;
mod write;

pub use attacher::{Absent, Attacher, AttacherError, Change, Wanted, What};
pub use board::{Board, Committed};
pub use counts::Counts;
pub use drain::{FLUSH_INTERVAL, Keep};
pub use keep::{StoreOptions, StoreOutput};
pub use nowhere::Nowhere;
pub use own::{Connection, Own};
pub use room::SharedRetention;
pub use sample::Sample;
pub use status::{Former, InterfaceState, Status};
pub use stream::{Division, Stream};
pub use worker::{Link, Settings, Telling, WorkerError, run};
pub use write::{LeftOut, Output, WriteError};
