//! What `flowsift store` and `flowsift import` take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::store::Compress;

/// Arguments of `flowsift store`.
#[derive(Args, Debug)]
pub(in crate::cli) struct StoreArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: StoreCommand,
}

/// What to do with a store.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum StoreCommand {
    /// List what each interface and tag has, as tab-separated values
    Ls(Selection),
    /// Read every file, compare it with its sidecar, and say what is wrong; exit code 3 if anything is
    Check(Selection),
    /// Remove now what the wells' retention (well.toml) says
    Prune {
        /// The store
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
    },
    /// Make the sidecars that are missing or not valid
    Reindex {
        #[command(flatten)]
        selection: Selection,
        /// Make all of them again
        #[arg(long)]
        all: bool,
    },
    /// Write packets as one capture file, in the order of time
    Export {
        #[command(flatten)]
        selection: Selection,
        /// Only packets at or after this time: -1h, RFC 3339, 2026-01-31, epoch seconds
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        from: Option<String>,
        /// Only packets before this time
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        to: Option<String>,
        /// The file; - is standard output
        #[arg(short = 'w', long = "write", value_name = "FILE|-")]
        write: PathBuf,
    },
}

/// Which packets of which store; without more, all.
#[derive(Args, Debug)]
pub(in crate::cli) struct Selection {
    /// The store
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) store: PathBuf,
    /// Only this tag; may be repeated
    #[arg(long, value_name = "TAG")]
    pub(in crate::cli) tag: Vec<String>,
    /// Only this well; may be repeated
    #[arg(long, value_name = "WELL")]
    pub(in crate::cli) well: Vec<String>,
    /// Only this interface; may be repeated
    #[arg(short, long, value_name = "IFACE")]
    pub(in crate::cli) interface: Vec<String>,
}

/// Arguments of `flowsift import`.
#[derive(Args, Debug)]
pub(in crate::cli) struct ImportArgs {
    /// The store, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) store: PathBuf,
    /// The tag that the packets get
    #[arg(long, default_value = "pcap", value_name = "TAG")]
    pub(in crate::cli) tag: String,
    /// Compress the files: zstd, zstd:LEVEL or none; default: what well.toml says
    #[arg(long, value_name = "HOW", value_parser = Compress::parse)]
    pub(in crate::cli) compress: Option<Compress>,
    /// Capture files, folders of them, globs, or - for standard input
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub(in crate::cli) files: Vec<String>,
}
