//! The Debian package: its control files around the staged tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::VERSION;
use super::stage::put;
use crate::{Result, output};

/// dpkg keeps what the administrator changed in it.
const CONFFILES: &str = "/etc/flowsift/flowsift.toml\n";

/// User, folder, units. The service is not enabled: without an interface it captures nothing.
const POSTINST: &str = "#!/bin/sh
set -e
if [ \"$1\" = configure ]; then
    systemd-sysusers flowsift.conf
    install -d -o flowsift -g flowsift -m 0750 /var/lib/flowsift
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # An upgrade: the new program captures on. It may refuse a key of the configuration that
        # was kept, which is no reason to leave the package half configured.
        if [ -n \"$2\" ]; then
            systemctl try-restart flowsift.service ||
                echo \"flowsift: the service did not start: journalctl -u flowsift\" >&2
        fi
    fi
fi
";

const PRERM: &str = "#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now flowsift.service
fi
";

/// Removal keeps configuration and packets; purging removes both and asks nothing.
const POSTRM: &str = "#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
if [ \"$1\" = purge ]; then
    # A mount point cannot be removed; what was in it is.
    rm -rf /var/lib/flowsift ||
        echo \"flowsift: /var/lib/flowsift stays\" >&2
    if [ -d /etc/flowsift ]; then
        rmdir --ignore-fail-on-non-empty /etc/flowsift
    fi
fi
";

/// Who is named as the package's maintainer: DEBEMAIL, as other tools of Debian take it.
fn maintainer() -> String {
    let email = std::env::var("DEBEMAIL").unwrap_or_else(|_| "flowsift@localhost".to_owned());
    format!("The flowsift authors <{email}>")
}

/// The changelog in Debian's form, which only names the version; `epoch` is its time.
pub(super) fn changelog(epoch: &str) -> Result<String> {
    let date = output(Command::new("date").args(["-u", "-R", "-d", &format!("@{epoch}")]))?;
    let date = String::from_utf8(date)?;
    Ok(format!(
        "flowsift ({VERSION}) stable; urgency=medium\n\n  * What is new is in CHANGELOG.md.gz.\n\n -- {}  {date}",
        maintainer()
    ))
}

/// Packs the tree; `level` is how hard it is compressed.
pub(super) fn build(
    binary: &Path,
    tree: &Path,
    out: &Path,
    epoch: &str,
    level: u8,
) -> Result<PathBuf> {
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = String::from_utf8(architecture)?.trim().to_owned();
    let glibc = newest_glibc(&fs::read(binary)?).ok_or("the program names no version of glibc")?;
    let control = tree.join("DEBIAN");
    let size = installed(tree)?;
    let maintainer = maintainer();
    let text = format!(
        "Package: flowsift\n\
         Version: {VERSION}\n\
         Architecture: {architecture}\n\
         Maintainer: {maintainer}\n\
         Installed-Size: {size}\n\
         Depends: libc6 (>= 2.{glibc}), libgcc-s1, systemd | systemd-standalone-sysusers\n\
         Recommends: libpcap0.8, tzdata\n\
         Suggests: tshark\n\
         Section: net\n\
         Priority: optional\n\
         Homepage: https://github.com/flowsift/flowsift\n\
         Description: packet capture, store and search for gateways\n \
         Captures packets by XDP into a store of plain pcap files with tuple\n \
         sidecars, and answers queries over them in a pipe language: which\n \
         machine contacted unusually many peers, last week or at this moment.\n"
    );
    put(&control.join("control"), text.as_bytes(), 0o644)?;
    put(&control.join("conffiles"), CONFFILES.as_bytes(), 0o644)?;
    put(&control.join("postinst"), POSTINST.as_bytes(), 0o755)?;
    put(&control.join("prerm"), PRERM.as_bytes(), 0o755)?;
    put(&control.join("postrm"), POSTRM.as_bytes(), 0o755)?;
    let sums = "find etc usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums \
                && find . -type d -exec chmod 755 {} + && chmod 644 DEBIAN/md5sums";
    output(Command::new("sh").args(["-c", sums]).current_dir(tree))?;
    let package = out.join(format!("flowsift_{VERSION}_{architecture}.deb"));
    // dpkg-deb sorts the files; with this variable no time is later than it.
    output(
        Command::new("sh")
            .args(["-c", "find \"$1\" -exec touch -h -d \"@$2\" {} +", "sh"])
            .arg(tree)
            .arg(epoch),
    )?;
    output(
        Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", epoch)
            .args(["--root-owner-group", "-Zxz"])
            .arg(format!("-z{level}"))
            .arg("--build")
            .arg(tree)
            .arg(&package),
    )?;
    Ok(package)
}

/// KiB, as Debian's policy counts them: files rounded up.
fn installed(tree: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(tree)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() {
            1 + installed(&entry.path())?
        } else {
            entry.metadata()?.len().div_ceil(1024)
        };
    }
    Ok(sum)
}

/// The newest version 2.x of glibc whose symbols a program asks for: the names of its version
/// needs, which stand in its string table.
fn newest_glibc(program: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"\0GLIBC_2.";
    let places = program.windows(NAME.len()).enumerate();
    let minors = places
        .filter(|(_, bytes)| *bytes == NAME)
        .filter_map(|(at, _)| {
            let rest = program.get(at + NAME.len()..)?;
            let digits: String = rest
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .map(|byte| char::from(*byte))
                .collect();
            digits.parse().ok()
        });
    minors.max()
}

#[cfg(test)]
mod tests {
    use super::super::say;
    use super::*;

    #[test]
    fn the_newest_version_need_counts() {
        let program = b"x\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0notGLIBC_2.99\0";
        assert_eq!(newest_glibc(program), Some(34));
        assert_eq!(newest_glibc(b"static"), None);
    }

    /// A folder of its own, in which a maintainer script runs as if it were the machine's root.
    struct Machine(PathBuf);

    impl Machine {
        /// `None`, said, where mounts of its own cannot be had.
        fn new(name: &str) -> Option<Self> {
            if output(Command::new("unshare").args(["-m", "true"])).is_err() {
                say("SKIPPED: no mounts of its own (unshare -m)").unwrap();
                return None;
            }
            let name = format!("flowsift-{name}-{}", std::process::id());
            let root = std::env::temp_dir().join(name);
            fs::create_dir_all(root.join("bin")).unwrap();
            Some(Self(root))
        }

        /// A command that the script finds before the machine's own.
        fn command(&self, name: &str, text: &str) {
            let text = format!("#!/bin/sh\n{text}\n");
            put(&self.0.join("bin").join(name), text.as_bytes(), 0o755).unwrap();
        }

        /// Whether the script succeeds, after `before` and with its mounts.
        fn run(&self, before: &str, script: &str, arguments: &[&str]) -> bool {
            let mut script = script.to_owned();
            for path in ["/var/lib/", "/run/systemd/", "/etc/"] {
                script = script.replace(path, &format!("{}{path}", self.0.display()));
            }
            let text = format!("PATH={}/bin:$PATH\n{before}\n{script}", self.0.display());
            let mut command = Command::new("unshare");
            command.args(["-m", "sh", "-c", &text, "script"]);
            command.args(arguments).status().unwrap().success()
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_service_that_does_not_start_leaves_the_package_configured() {
        let Some(machine) = Machine::new("postinst") else {
            return;
        };
        fs::create_dir_all(machine.0.join("run/systemd/system")).unwrap();
        machine.command("systemd-sysusers", "");
        machine.command("install", "");
        machine.command("systemctl", "test \"$1\" = daemon-reload");
        assert!(machine.run("", POSTINST, &["configure", "0.1"]));
    }

    #[test]
    fn a_store_that_is_a_mount_point_is_emptied() {
        let Some(machine) = Machine::new("postrm") else {
            return;
        };
        let store = machine.0.join("var/lib/flowsift");
        let disk = machine.0.join("disk");
        fs::create_dir_all(&store).unwrap();
        fs::create_dir_all(disk.join("pcap")).unwrap();
        fs::write(disk.join("pcap/x.pcap"), "packets").unwrap();
        let mount = format!("mount --bind {} {}", disk.display(), store.display());
        assert!(machine.run(&mount, POSTRM, &["purge"]));
        assert_eq!(fs::read_dir(&disk).unwrap().count(), 0);
        assert!(machine.run("", POSTRM, &["purge"]));
        assert!(!store.exists());
    }
}
