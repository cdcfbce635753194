//! What a capture offers to others while it runs: the socket in its store.

use std::path::Path;
use std::sync::Arc;

use crate::capture::guard::User;
use crate::record::{Board, Status};
use crate::serve::protocol::Limits;
use crate::serve::socket::{Listener, Options, Server};
use crate::serve::status::Agent;

/// What is opened while the process may still do so.
pub(super) struct Offer {
    options: Options,
    listener: Option<Listener>,
    /// Why there is none.
    note: Option<String>,
}

/// What is served.
pub(super) struct Served {
    agent: Arc<Agent>,
    server: Option<Server>,
    note: Option<String>,
}

impl Offer {
    /// Makes the socket of a store. Without one, capture goes on and says so.
    pub(super) fn bind(store: Option<&Path>, user: Option<&User>) -> Self {
        let options = Options::default();
        let bound = store.map(|store| Listener::bind(store, options, user.map(User::ids)));
        let (listener, note) = match bound.transpose() {
            Ok(listener) => (listener, None),
            Err(error) => (None, Some(unasked(&error.to_string()))),
        };
        Self {
            options,
            listener,
            note,
        }
    }

    /// Starts to answer.
    pub(super) fn serve(self, board: Arc<Board>) -> Served {
        let limits: Limits = self.options.limits;
        let agent = Arc::new(Agent::new(board, wall_ns(), limits));
        let server = self
            .listener
            .map(|listener| listener.serve(Arc::clone(&agent)));
        let (server, failed) = match server.transpose() {
            Ok(server) => (server, None),
            Err(error) => (None, Some(unasked(&error.to_string()))),
        };
        Served {
            agent,
            server,
            note: self.note.or(failed),
        }
    }
}

impl Served {
    /// What the user should be told, as it came.
    pub(super) fn notes(&mut self) -> Vec<String> {
        let first = self.note.take().into_iter();
        first
            .chain(self.server.iter().flat_map(Server::notes))
            .collect()
    }

    pub(super) fn report(&self, status: &Status) {
        self.agent.report(status);
    }

    /// Tells who listens the final counters and why it ends; gives the last notes.
    pub(super) fn stop(self, status: &Status, reason: &str) -> Vec<String> {
        self.agent.report(status);
        let server = self.server.map(|server| server.stop(reason));
        server.unwrap_or_default()
    }
}

fn unasked(error: &str) -> String {
    format!("{error}; live queries and flowsift status cannot ask this capture")
}

/// Nanoseconds since 1970 UTC.
fn wall_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
}
