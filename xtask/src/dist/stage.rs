//! The files as they are installed, below one folder, and the tarball of them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, output};

/// Files of the repository and where they go.
const FILES: [(&str, &str); 10] = [
    ("xtask/dist/flowsift.toml", "etc/flowsift/flowsift.toml"),
    (
        "xtask/dist/flowsift.service",
        "usr/lib/systemd/system/flowsift.service",
    ),
    (
        "xtask/dist/flowsift.sysusers",
        "usr/lib/sysusers.d/flowsift.conf",
    ),
    (
        "xtask/dist/flowsift.tmpfiles",
        "usr/lib/tmpfiles.d/flowsift.conf",
    ),
    (
        "xtask/dist/packet-socket.conf",
        "usr/share/doc/flowsift/packet-socket.conf",
    ),
    ("xtask/dist/copyright", "usr/share/doc/flowsift/copyright"),
    ("docs/agent.md", "usr/share/doc/flowsift/agent.md"),
    ("docs/install.md", "usr/share/doc/flowsift/install.md"),
    ("docs/socket.md", "usr/share/doc/flowsift/socket.md"),
    ("docs/store.md", "usr/share/doc/flowsift/store.md"),
];

/// Where shells look for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/flowsift"),
    ("fish", "usr/share/fish/vendor_completions.d/flowsift.fish"),
    ("zsh", "usr/share/zsh/vendor-completions/_flowsift"),
];

/// Makes the tree anew. `changelog` is the one in Debian's form.
pub(super) fn files(root: &Path, binary: &Path, tree: &Path, changelog: &str) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    let program = tree.join("usr/bin/flowsift");
    put(&program, &read(binary)?, 0o755)?;
    // A debug build's symbols are of no use to who installs it.
    output(Command::new("strip").arg(&program))?;
    for (from, to) in FILES {
        put(&tree.join(to), &read(&root.join(from))?, 0o644)?;
    }
    for (shell, to) in COMPLETIONS {
        let script = output(Command::new(binary).args(["completions", shell]))?;
        put(&tree.join(to), &script, 0o644)?;
    }
    let pages = tree.join("usr/share/man/man1");
    output(Command::new(binary).arg("man").arg("--dir").arg(&pages))?;
    for page in fs::read_dir(&pages)? {
        compress(&page?.path())?;
    }
    let doc = tree.join("usr/share/doc/flowsift");
    let changes = read(&root.join("CHANGELOG.md"))?;
    for (name, text) in [
        ("CHANGELOG.md", &changes[..]),
        ("changelog", changelog.as_bytes()),
    ] {
        put(&doc.join(name), text, 0o644)?;
        compress(&doc.join(name))?;
    }
    Ok(())
}

/// The tree as a tarball whose bytes depend on nothing but the files and `epoch`.
pub(super) fn tarball(tree: &Path, out: &Path, epoch: &str) -> Result<PathBuf> {
    let name = tree.file_name().ok_or("the tree has no name")?;
    let file = out.join(format!(
        "{}-{}-linux.tar.gz",
        name.to_string_lossy(),
        std::env::consts::ARCH
    ));
    output(
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--format=gnu", "--use-compress-program=gzip -n"])
            .arg(format!("--mtime=@{epoch}"))
            .arg("--directory")
            .arg(out)
            .arg("--create")
            .arg("--file")
            .arg(&file)
            .arg(name),
    )?;
    Ok(file)
}

/// Writes a file with a mode, and the folders above it with that of folders.
pub(super) fn put(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Without name and time in the header, so that the same text gives the same bytes.
fn compress(path: &Path) -> Result<()> {
    output(Command::new("gzip").args(["-9", "-n"]).arg(path)).map(drop)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()).into())
}
