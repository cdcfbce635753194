//! The test of the package: installed into a Debian whose systemd runs in namespaces of its own,
//! used as the README's "A stranger's hour" says, removed, purged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::say;
use crate::{Result, output};

/// What is used of Debian beside its smallest system.
const PACKAGES: &str =
    "systemd,systemd-sysv,dbus,iproute2,libpcap0.8,ca-certificates,tcpreplay,tshark";
const SUITE: &str = "bookworm";

/// Longer than it takes; a machine that hangs ends then.
const LIMIT: Duration = Duration::from_secs(300);

/// Where the README's commands are.
const SECTION: &str = "## A stranger's hour";

const SETUP: &str = include_str!("machine.sh");
const BEFORE: &str = include_str!("guest_before.sh");
const AFTER: &str = include_str!("guest_after.sh");

/// Runs the test where it can run, and says loudly where it cannot.
pub(super) fn run(root: &Path, package: &Path) -> Result<()> {
    let Some(cgroups) = can_run()? else {
        return Ok(());
    };
    let debian = debian()?;
    let work = std::env::temp_dir().join(format!("flowsift-dist-{}", std::process::id()));
    let cgroup = cgroups.join(format!("flowsift-dist-{}", std::process::id()));
    fs::create_dir_all(work.join("session"))?;
    fs::create_dir_all(work.join("changes"))?;
    fs::create_dir(&cgroup).map_err(|e| format!("{}: {e}", cgroup.display()))?;
    let verdict = within(root, package, &debian, &work, &cgroup);
    remove_cgroup(&cgroup);
    fs::remove_dir_all(&work)?;
    verdict
}

/// The folder of the second version of cgroups, if everything is there.
fn can_run() -> Result<Option<PathBuf>> {
    let skip = |why: &str| {
        say(&format!(
            "SKIPPED: installing, starting, querying and removing the package: {why}"
        ))?;
        Ok(None)
    };
    if String::from_utf8(output(Command::new("id").arg("-u"))?)?.trim() != "0" {
        return skip("not root");
    }
    let mut command = Command::new("unshare");
    let unshare = command.args(["-fpmnuiC", "--kill-child", "true"]);
    if output(unshare).is_err() {
        return skip("the kernel gives no namespaces (unshare -fpmnuiC)");
    }
    let mounts = fs::read_to_string("/proc/mounts")?;
    let cgroups = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let path = words.nth(1)?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(path))
    });
    match cgroups {
        None => skip("no cgroup2 is mounted, in which systemd could run"),
        Some(folder) => Ok(Some(folder)),
    }
}

/// A small Debian with systemd, made once and kept beside other caches.
fn debian() -> Result<PathBuf> {
    let cache = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache"),
        (None, None) => return Err("neither XDG_CACHE_HOME nor HOME is set".into()),
    };
    let folder = cache.join("flowsift").join(format!("debian-{SUITE}"));
    if !folder.is_dir() {
        // Made beside its place, so that an interrupted run leaves no half of a system.
        let partial = folder.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        output(
            Command::new("debootstrap")
                .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
                .arg(&partial),
        )?;
        fs::rename(&partial, &folder)?;
    }
    Ok(folder)
}

/// Boots the machine, waits for its end, and shows what went on in it.
fn within(root: &Path, package: &Path, debian: &Path, work: &Path, cgroup: &Path) -> Result<()> {
    let readme = fs::read_to_string(root.join("README.md"))?;
    let session = session(&readme).ok_or("the README has no commands in \"A stranger's hour\"")?;
    fs::write(
        work.join("session/guest.sh"),
        format!("{BEFORE}\n{session}\n{AFTER}"),
    )?;
    fs::write(work.join("machine.sh"), SETUP)?;
    let console = fs::File::create(work.join("console"))?;
    let packages = package.parent().ok_or("the package is in no folder")?;
    let mut machine = Command::new("sh")
        .args([
            "-c",
            "echo $$ >\"$0/cgroup.procs\" && exec unshare -fpmnuiC --kill-child sh \"$@\"",
        ])
        .arg(cgroup)
        .arg(work.join("machine.sh"))
        .args([debian, work, root, packages])
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .map_err(|e| format!("cannot start sh: {e}"))?;
    let end = Instant::now() + LIMIT;
    while machine.try_wait()?.is_none() && Instant::now() < end {
        thread::sleep(Duration::from_millis(200));
    }
    let hung = machine.try_wait()?.is_none();
    // Where it hangs: with unshare, all of its processes end (--kill-child).
    let _ = machine.kill();
    machine.wait()?;
    let log = fs::read_to_string(work.join("session/log")).unwrap_or_default();
    say(&log)?;
    if hung {
        return Err(format!("the machine ran for {} s", LIMIT.as_secs()).into());
    }
    if log.lines().last() == Some("PACKAGE TEST PASSED") {
        return Ok(());
    }
    let console = fs::read(work.join("console"))?;
    say(&String::from_utf8_lossy(&console))?;
    Err("the package's test failed: see above".into())
}

/// The commands of the README's section, as they stand there.
fn session(readme: &str) -> Option<String> {
    let (_, section) = readme.split_once(SECTION)?;
    let section = section.split("\n## ").next()?;
    let blocks = section.split("```sh\n").skip(1);
    let commands: String = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    (!commands.is_empty()).then_some(commands)
}

/// Empty once its processes are gone; those below it first.
fn remove_cgroup(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_the_section_are_taken_and_no_others() {
        let readme = format!(
            "```sh\nno\n```\n{SECTION}\n\ntext\n\n```sh\none\n```\nmore\n```sh\ntwo\n```\n\n## Next\n```sh\nno\n```\n"
        );
        assert_eq!(session(&readme).as_deref(), Some("one\ntwo\n"));
        assert_eq!(session("# none"), None);
    }

    #[test]
    fn the_readme_has_the_section() {
        let readme = fs::read_to_string(crate::repository().join("README.md")).unwrap();
        let session = session(&readme).unwrap();
        for word in [
            "apt install",
            "systemctl start",
            "--live",
            "tshark",
            "apt remove",
        ] {
            assert!(session.contains(word), "{word}");
        }
    }
}
