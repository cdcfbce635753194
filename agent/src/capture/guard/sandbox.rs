//! Landlock: which files a process may open from now on (`landlock(7)`).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};

use super::GuardNote;

/// The newest rules that are asked for; an older kernel enforces those that it knows.
const RULES: ABI = ABI::V7;

/// Readable for everybody: a per-CPU counter has a value for each possible CPU, whose number is
/// read here each time.
const SYSTEM: &str = "/sys/devices/system/cpu";

/// What may be opened, besides the numbers of the CPUs. Descriptors that are open already stay usable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Files, and folders with all below them, that may be read.
    pub readable: Vec<PathBuf>,
    /// Folders in which files may be read, made, written, renamed and removed.
    pub writable: Vec<PathBuf>,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// What is to stay accessible cannot be opened.
    #[error("cannot keep {} accessible: {error}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: landlock::PathFdError,
    },
    /// The kernel refuses the rules.
    #[error("cannot restrict file access by Landlock: {0}")]
    Rules(#[from] RulesetError),
}

impl Sandbox {
    /// Restricts this thread. No TCP, no signals and no abstract sockets to those outside.
    pub(super) fn enter(&self) -> Result<Option<GuardNote>, SandboxError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let status = self.rules(read)?.restrict_self()?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::FullyEnforced, _) => None,
            (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
                Some(GuardNote::OldLandlock(format!(
                    "version {} of {}",
                    effective_abi as u32, RULES as u32
                )))
            }
            (RulesetStatus::PartiallyEnforced, _) => {
                Some(GuardNote::OldLandlock("partly enforced".to_owned()))
            }
            (RulesetStatus::NotEnforced, _) => Some(GuardNote::NoLandlock),
        })
    }

    fn rules(&self, read: BitFlags<AccessFs>) -> Result<landlock::RulesetCreated, SandboxError> {
        let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
        let write = AccessFs::from_all(RULES) & !(AccessFs::Execute | AccessFs::MakeSym | devices);
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(RULES))?
            .handle_access(AccessNet::from_all(RULES))?
            .scope(Scope::from_all(RULES))?
            .create()?;
        let system = Some(Path::new(SYSTEM)).filter(|path| path.exists());
        let readable = self.readable.iter().map(PathBuf::as_path).chain(system);
        let readable = readable.map(|path| (path, read));
        let writable = self.writable.iter().map(|path| (path.as_path(), write));
        for (path, access) in readable.chain(writable) {
            let fd = PathFd::new(path).map_err(|error| SandboxError::Path {
                path: path.to_owned(),
                error,
            })?;
            let access = if path.is_dir() {
                access
            } else {
                access & AccessFs::from_file(RULES)
            };
            rules = rules.add_rule(PathBeneath::new(fd, access))?;
        }
        Ok(rules)
    }
}
