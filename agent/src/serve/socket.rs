//! The socket in the store's folder, and the one thread that serves all who connect.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use rustix::fs::{Gid, Uid};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::options::SharedOptions;
use super::protocol::SOCKET_NAME;
use super::status::Agent;
use super::thread::Serving;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 64;

/// Notes that wait to be shown; what finds no room is counted elsewhere.
const NOTES: usize = 64;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process serves the store.
    #[error("{} is served by another process", path.display())]
    Served {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody has put something else there.
    #[error("{} is no socket, and is left alone", path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A socket in a store, on which nobody is answered yet.
#[derive(Debug)]
pub struct Listener {
    pub(super) place: Place,
    pub(super) listener: UnixListener,
    /// Device and inode of the socket's file.
    pub(super) identity: (u64, u64),
}

/// Where a socket is made, and how.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) options: SharedOptions,
}

/// The thread that serves.
#[derive(Debug)]
pub struct Server {
    /// Dropped to end it.
    end: SyncSender<String>,
    wake: UnixStream,
    notes: Receiver<String>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Makes the socket of a store; one that was left by an agent that ended is replaced. `owner`
    /// is the user and group that it is to belong to, where this process will be another's.
    ///
    /// # Errors
    /// [`ServeError::Served`] if another agent serves the store; if there is something else, or the
    /// system refuses.
    pub fn bind(
        store: &Path,
        options: SharedOptions,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, ServeError> {
        let place = Place {
            path: store.join(SOCKET_NAME),
            options,
        };
        let (listener, identity) = place.bind(owner)?;
        Ok(Self {
            place,
            listener,
            identity,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Starts to answer.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn serve(self, agent: Arc<Agent>) -> io::Result<Server> {
        let (wake, woken) = UnixStream::pair()?;
        let (tell, notes) = mpsc::sync_channel(NOTES);
        let (end, ended) = mpsc::sync_channel(1);
        let serving = Serving::new(self, agent, tell);
        let thread = thread::Builder::new()
            .name("socket".to_owned())
            .spawn(move || serving.run(&woken, &ended))?;
        Ok(Server {
            end,
            wake,
            notes,
            thread,
        })
    }
}

impl Server {
    /// What the user should be told, as it came.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.try_iter()
    }

    /// Tells all who listen what is last and why it ends, and removes the socket. Gives the notes
    /// that were left.
    #[must_use]
    pub fn stop(self, reason: &str) -> Vec<String> {
        // Of a thread that is gone, there is nobody to tell.
        let _ = self.end.try_send(reason.to_owned());
        drop(self.wake);
        let mut notes: Vec<String> = Vec::new();
        if self.thread.join().is_err() {
            notes.push("the thread of the socket failed: please report this".to_owned());
        }
        notes.splice(0..0, self.notes.try_iter());
        notes
    }
}

impl Place {
    /// Makes the socket. Whoever connects before it has its mode has no more than the owner.
    pub(super) fn bind(
        &self,
        owner: Option<(u32, u32)>,
    ) -> Result<(UnixListener, (u64, u64)), ServeError> {
        self.make_room()?;
        let listener = self.listen().map_err(|error| self.failed("make", error))?;
        self.give(owner)?;
        let mode = rustix::fs::Mode::from_raw_mode(self.options.get().mode);
        rustix::fs::chmodat(
            rustix::fs::CWD,
            &self.path,
            mode,
            rustix::fs::AtFlags::empty(),
        )
        .map_err(|error| self.failed("set the permissions of", error.into()))?;
        let identity = self
            .identity()
            .ok_or_else(|| self.failed("make", io::Error::from(io::ErrorKind::NotFound)))?;
        Ok((listener, identity))
    }

    fn listen(&self) -> io::Result<UnixListener> {
        let address = SocketAddrUnix::new(&self.path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket: OwnedFd =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // The mode of the file is that of the socket at bind, less the umask (`unix_bind_bsd`).
        rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(UnixListener::from(socket))
    }

    fn give(&self, owner: Option<(u32, u32)>) -> Result<(), ServeError> {
        let (user, own_group) = owner.unzip();
        let group = self.options.get().group.or(own_group);
        if user.is_none() && group.is_none() {
            return Ok(());
        }
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
        rustix::fs::chownat(rustix::fs::CWD, &self.path, user, group, flags)
            .map_err(|error| self.failed("give its group", error.into()))
    }

    /// Removes a socket that nobody listens to any more.
    fn make_room(&self) -> Result<(), ServeError> {
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.failed("look at", error)),
        };
        let path = self.path.clone();
        if !metadata.file_type().is_socket() {
            return Err(ServeError::NoSocket { path });
        }
        match UnixStream::connect(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                match fs::remove_file(&self.path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(self.failed("replace", error))
                    }
                    _ => Ok(()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // It takes connections, or has no room for one more now: somebody is there.
            Ok(_) => Err(ServeError::Served { path }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(ServeError::Served { path })
            }
            Err(error) => Err(self.failed("look at", error)),
        }
    }

    /// Device and inode of what is there now.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        let metadata = fs::symlink_metadata(&self.path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ServeError {
        ServeError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Listener {
    /// Whoever has it may have replaced it: that one stays.
    fn drop(&mut self) {
        if self.place.identity() == Some(self.identity) {
            // A socket that stays is replaced by the next agent.
            let _ = fs::remove_file(&self.place.path);
        }
    }
}
