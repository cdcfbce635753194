//! What a capture is to do, whether the command line or a configuration file says so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::super::args::{AttachMode, CaptureArgs, CaptureSource};
use crate::record::{Absent, SharedRetention};
use crate::serve::config::{Attach, Config, Origin};
use crate::serve::options::{Options, SharedOptions};
use crate::serve::protocol::Limits;
use crate::store::{Compress, Retention};

/// What a capture is to do.
pub(in crate::cli) struct Job {
    /// `IFACE[=TAG]`, each a name or a pattern.
    pub(super) interface: Vec<String>,
    /// What an interface means that is not there.
    pub(super) absent: Absent,
    /// The store that keeps the packets.
    pub(super) store: Option<PathBuf>,
    /// The stream that they go to instead.
    pub(super) write: Option<PathBuf>,
    /// Bytes kept of each packet; 0: all.
    pub(super) snaplen: u32,
    /// Where packets come from.
    pub(super) source: CaptureSource,
    /// With packet sockets: leave out what the interface does not receive by itself.
    pub(super) no_promiscuous_mode: bool,
    pub(super) mode: AttachMode,
    /// What this machine sends, too.
    pub(super) egress: bool,
    /// Tuples only.
    pub(super) no_pcap: bool,
    /// Packets after which it ends.
    pub(super) count: Option<u64>,
    /// Time after which it ends.
    pub(super) duration: Option<Duration>,
    /// Bytes of a file.
    pub(super) file_size: Option<u64>,
    /// Time of a file.
    pub(super) file_time: Option<Duration>,
    /// Files of a stream.
    pub(super) file_count: Option<u32>,
    /// What the store keeps; may change while it runs.
    pub(super) retention: SharedRetention,
    /// How closed files of the store are kept.
    pub(super) compress: Option<Compress>,
    /// Bytes of all packet rings.
    pub(super) packet_ring: u64,
    /// Bytes of all tuple rings.
    pub(super) tuple_ring: u64,
    /// Who reads packets and writes files.
    pub(super) user: Option<String>,
    /// Whether the packets of the session that shows it are kept.
    pub(super) own: bool,
    /// Say what was loaded into the kernel.
    pub(super) verbose: bool,
    /// Whether nothing is shown while it runs.
    pub(super) quiet: bool,
    /// The words of a libpcap expression.
    pub(super) filter: Vec<String>,
    /// How the socket in the store is served; `None`: there is none. May change while it runs.
    pub(super) socket: Option<SharedOptions>,
    /// The group that may use it.
    pub(super) socket_group: Option<String>,
    /// Where metrics are given.
    pub(super) metrics: Option<SocketAddr>,
}

impl From<&CaptureArgs> for Job {
    fn from(args: &CaptureArgs) -> Self {
        let retention = Retention {
            max_age: args.keep_age,
            max_size: args.keep_size,
            min_free: args.keep_free,
        };
        Self {
            interface: args.interface.clone(),
            absent: Absent::Refused,
            store: args.store.clone(),
            write: args.write.clone(),
            snaplen: args.snaplen,
            source: args.source,
            no_promiscuous_mode: args.no_promiscuous_mode,
            mode: args.mode,
            egress: args.egress,
            no_pcap: args.no_pcap,
            count: args.count,
            duration: args.duration,
            file_size: args.file_size,
            file_time: args.file_time,
            file_count: args.file_count,
            retention: SharedRetention::new(retention),
            compress: args.compress,
            packet_ring: args.packet_ring,
            tuple_ring: args.tuple_ring,
            user: args.user.clone(),
            own: args.own,
            verbose: args.verbose,
            quiet: args.quiet,
            filter: args.filter.clone(),
            socket: Some(SharedOptions::default()),
            socket_group: None,
            metrics: args.metrics,
        }
    }
}

impl From<&Config> for Job {
    fn from(config: &Config) -> Self {
        let (capture, store) = (&config.capture, &config.store);
        Self {
            interface: interfaces(config),
            absent: Absent::Awaited,
            store: Some(store.path.0.clone()),
            write: None,
            // Its bound is that of the type.
            snaplen: u32::try_from(capture.snaplen.0).unwrap_or(0),
            source: match capture.source {
                Origin::Auto => CaptureSource::Auto,
                Origin::Xdp => CaptureSource::Xdp,
                Origin::PacketSocket => CaptureSource::PacketSocket,
            },
            no_promiscuous_mode: !capture.promiscuous,
            mode: match capture.mode {
                Attach::Auto => AttachMode::Auto,
                Attach::Native => AttachMode::Native,
                Attach::Generic => AttachMode::Generic,
            },
            egress: capture.egress,
            no_pcap: !capture.packets,
            count: None,
            duration: None,
            file_size: Some(store.file_size.0),
            file_time: Some(store.file_time.0),
            file_count: None,
            retention: SharedRetention::new(retention(config)),
            compress: store.compress.map(|how| how.0),
            packet_ring: capture.packet_ring.0,
            tuple_ring: capture.tuple_ring.0,
            user: capture.user.as_ref().map(|user| user.0.clone()),
            // A daemon is not shown in a session.
            own: true,
            verbose: false,
            quiet: true,
            filter: capture.filter.iter().map(|text| text.0.clone()).collect(),
            socket: config.socket.enabled.then(|| socket(config)),
            socket_group: config.socket.group.as_ref().map(|group| group.0.clone()),
            metrics: config.metrics.listen.map(|listen| listen.0),
        }
    }
}

impl Job {
    /// What the store keeps, to be changed while it runs.
    pub(in crate::cli) fn retention(&self) -> SharedRetention {
        self.retention.clone()
    }
}

impl Job {
    /// How the socket is served, to be changed while it runs.
    pub(in crate::cli) fn socket(&self) -> Option<SharedOptions> {
        self.socket.clone()
    }
}

fn socket(config: &Config) -> SharedOptions {
    let options = SharedOptions::new(Options {
        mode: config.socket.mode.0,
        ..Options::default()
    });
    adopt(&options, config);
    options
}

/// Takes over what may change while the socket is served.
pub(in crate::cli) fn adopt(options: &SharedOptions, config: &Config) {
    let limits = Limits {
        memory: Some(config.limits.memory.0),
        time: u64::try_from(config.limits.time.0.as_millis()).ok(),
        rows: Some(config.limits.rows.0),
    };
    let max = usize::try_from(config.socket.max_subscribers.0).unwrap_or(usize::MAX);
    options.change(max, limits);
}

/// The interfaces of a configuration, as the command line has them.
pub(in crate::cli) fn interfaces(config: &Config) -> Vec<String> {
    let texts = config.capture.interfaces.iter();
    texts.map(|interface| interface.0.clone()).collect()
}

/// What a configuration keeps.
pub(in crate::cli) fn retention(config: &Config) -> Retention {
    Retention {
        max_age: config.store.keep_age.map(|age| age.0),
        max_size: config.store.keep_size.map(|size| size.0),
        min_free: config.store.keep_free.map(|size| size.0),
    }
}
