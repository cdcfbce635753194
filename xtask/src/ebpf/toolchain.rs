//! The two ways to compile for `bpfel-unknown-none`, and the flags they share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs};

use crate::Result;

const TARGET: &str = "bpfel-unknown-none";

/// What compiles the program; either way `bpf-linker` of the same LLVM links it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// Debian's packages `rustc-web` and `libstd-rust-web-dev-bpf`: `core` is ready-made.
    Debian,
    /// rustup's nightly with `rust-src`: `core` is built on the way.
    Nightly,
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian => "Debian's rustc-web",
            Self::Nightly => "rustup's nightly",
        })
    }
}

/// The toolchain named `debian`, `nightly`, or `auto` for the first that is installed.
pub(super) fn choose(name: &str) -> Result<Toolchain> {
    match name {
        "debian" => Ok(Toolchain::Debian),
        "nightly" => Ok(Toolchain::Nightly),
        "auto" if has_ready_made_core() => Ok(Toolchain::Debian),
        "auto" => Ok(Toolchain::Nightly),
        _ => Err(format!("--toolchain: `{name}` is none of auto, debian, nightly").into()),
    }
}

/// Whether Debian's compiler is there, with its library for the target.
fn has_ready_made_core() -> bool {
    let output = Command::new(DEBIAN_RUSTC)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout);
        output.status.success() && Path::new(folder.trim()).is_dir()
    })
}

impl Toolchain {
    /// Compiles `agent-ebpf` and gives the object, without debug information but with BTF.
    pub(super) fn build(self, root: &Path) -> Result<Vec<u8>> {
        let package = root.join("agent-ebpf");
        let mut cargo = self.cargo();
        cargo
            .args(["build", "--release", "--locked", "--target", TARGET])
            .env("CARGO_ENCODED_RUSTFLAGS", flags(root, &self.sysroot()?)?)
            // What cargo tells the programs it runs would steer the inner cargo.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET")
            .current_dir(&package);
        run(&mut cargo)?;
        let built = package
            .join("target")
            .join(TARGET)
            .join("release/flowsift-xdp");
        strip(&built)
    }

    /// Where the compiler keeps its library, and perhaps that one's sources.
    fn sysroot(self) -> Result<PathBuf> {
        let mut rustc = match self {
            Self::Debian => Command::new(DEBIAN_RUSTC),
            Self::Nightly => Command::new("rustup"),
        };
        if self == Self::Nightly {
            rustc.args(["run", "nightly", "rustc"]);
        }
        let output = rustc.args(["--print", "sysroot"]).output();
        let output = output.map_err(|e| format!("cannot start {rustc:?}: {e}"))?;
        Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
    }

    fn cargo(self) -> Command {
        match self {
            Self::Debian => {
                let mut cargo = Command::new("cargo");
                // Opens the unstable features to the two crates that need one (inline
                // assembly for BPF); everything else stays stable Rust.
                cargo
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "aya_ebpf,flowsift_xdp");
                cargo
            }
            Self::Nightly => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
                rustup.env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
                rustup
            }
        }
    }
}

/// Compiler flags, separated as cargo wants them (0x1f). Paths of this machine are replaced,
/// so that they neither enter the object nor change it.
fn flags(root: &Path, sysroot: &Path) -> Result<OsString> {
    let mut flags: Vec<OsString> = ["-Clinker=bpf-linker", "-Clink-arg=--btf", "-Cdebuginfo=2"]
        .map(OsString::from)
        .into();
    let mut replace = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push(format!("={to}"));
        flags.push(flag);
    };
    replace(sysroot, "rust");
    replace(root, "flowsift");
    // The last match wins: first the whole home, then each registry in it.
    let home = cargo_home()?;
    replace(&home, "cargo");
    if let Ok(registries) = fs::read_dir(home.join("registry/src")) {
        for registry in registries {
            replace(&registry?.path(), "registry");
        }
    }
    Ok(flags.join(&OsString::from("\u{1f}")))
}

fn cargo_home() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let default = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    home.or_else(default)
        .ok_or_else(|| "neither CARGO_HOME nor HOME is set".into())
}

/// Drops DWARF, which nothing reads once BTF is made.
fn strip(built: &Path) -> Result<Vec<u8>> {
    let stripped = built.with_extension("stripped");
    let names = [
        "llvm-strip",
        "llvm-strip-22",
        "/usr/lib/llvm-22/bin/llvm-strip",
        "rust-strip",
    ];
    for name in names {
        let mut strip = Command::new(name);
        strip
            .arg("--strip-debug")
            .arg("-o")
            .arg(&stripped)
            .arg(built);
        if strip.status().is_ok_and(|status| status.success()) {
            return Ok(fs::read(stripped)?);
        }
    }
    Err(format!("none of {} could strip the object", names.join(", ")).into())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|e| format!("cannot start {command:?}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}
