//! What a capture offers to others while it runs: the socket in its store, and metrics.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::capture::guard::User;
use crate::record::{Board, Status};
use crate::serve::metrics::{self, Metrics};
use crate::serve::options::SharedOptions;
use crate::serve::socket::{Listener, Server};
use crate::serve::status::Agent;
use crate::wall;

/// What is opened while the process may still do so.
pub(super) struct Offer {
    options: SharedOptions,
    listener: Option<Listener>,
    store: Option<PathBuf>,
    metrics: Option<metrics::Listener>,
    /// What the user should be told.
    notes: Vec<String>,
}

/// What is served.
pub(super) struct Served {
    agent: Arc<Agent>,
    server: Option<Server>,
    metrics: Option<Metrics>,
    notes: Vec<String>,
}

impl Offer {
    /// Makes the socket of a store, if there is to be one, for a user and a group. Without one,
    /// capture goes on and says so.
    pub(super) fn bind(
        store: Option<&Path>,
        socket: Option<SharedOptions>,
        (user, group): (Option<&User>, Option<u32>),
        metrics: Option<metrics::Listener>,
    ) -> Self {
        let mut notes = Vec::new();
        if let Some(listener) = &metrics {
            notes.extend(described(listener.address()));
        }
        let wanted = store.zip(socket.clone());
        let bound = wanted.map(|(store, options)| {
            options.let_in(group);
            Listener::bind(store, options, user.map(User::ids))
        });
        let listener = bound.transpose().unwrap_or_else(|error| {
            notes.push(unasked(&error.to_string()));
            None
        });
        Self {
            options: socket.unwrap_or_default(),
            listener,
            store: store.map(Path::to_owned),
            metrics,
            notes,
        }
    }

    /// Starts to answer.
    pub(super) fn serve(self, board: Arc<Board>) -> Served {
        let Self {
            options,
            listener,
            store,
            metrics,
            mut notes,
        } = self;
        let agent = Arc::new(Agent::new(board, wall::now_ns(), options));
        let server = listener.map(|listener| listener.serve(Arc::clone(&agent)));
        let server = server.transpose().unwrap_or_else(|error| {
            notes.push(unasked(&error.to_string()));
            None
        });
        let metrics = metrics.map(|listener| listener.serve(Arc::clone(&agent), store.as_deref()));
        let metrics = metrics.transpose().unwrap_or_else(|error| {
            notes.push(format!("no metrics: {error}"));
            None
        });
        Served {
            agent,
            server,
            metrics,
            notes,
        }
    }
}

impl Served {
    /// What the user should be told, as it came.
    pub(super) fn notes(&mut self) -> Vec<String> {
        let first = std::mem::take(&mut self.notes);
        let later = self.server.iter().flat_map(Server::notes);
        first.into_iter().chain(later).collect()
    }

    pub(super) fn report(&self, status: &Status) {
        self.agent.report(status);
    }

    /// Tells who listens the final counters and why it ends; gives the last notes.
    pub(super) fn stop(self, status: &Status, reason: &str) -> Vec<String> {
        self.agent.report(status);
        if let Some(metrics) = self.metrics {
            metrics.stop();
        }
        let server = self.server.map(|server| server.stop(reason));
        server.unwrap_or_default()
    }
}

/// Who reaches the address reads the counters.
fn described(address: SocketAddr) -> Vec<String> {
    let mut notes = vec![format!("metrics: http://{address}/metrics")];
    if !address.ip().is_loopback() {
        notes.push(format!(
            "whoever reaches {address} reads the metrics: there is no password"
        ));
    }
    notes
}

fn unasked(error: &str) -> String {
    format!("{error}; live queries and flowsift status cannot ask this capture")
}
