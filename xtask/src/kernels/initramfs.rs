//! What is booted beside the kernel: a shell, the tools of the tests, the tests, captures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Built;
use super::archive::Archive;
use super::package::{Kernel, find};
use crate::{Result, output};

/// What the last line of a run begins with.
pub(super) const END: &str = "KERNEL TESTS ENDED WITH ";

/// Compiles capture filters.
const LIBPCAP: &str = "libpcap.so.0.8";

/// Programs of this machine that the tests call.
const TOOLS: [&str; 3] = ["ip", "mount", "unshare"];

/// Who there is: the tests also run as somebody without rights.
const USERS: &str = "root:x:0:0:root:/:/bin/busybox\nnobody:x:65534:65534:nobody:/:/bin/busybox\n";
const GROUPS: &str = "root:x:0:\nnogroup:x:65534:\n";

/// Builds the archive. `filter` is what the test program is told of the tests to run: if nothing,
/// all.
pub(super) fn build(root: &Path, kernel: &Kernel, built: &Built, filter: &str) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["proc", "sys", "dev", "tmp"] {
        archive.folder(folder);
    }
    let busybox = find_program("busybox")?;
    archive.file("bin/busybox", &read(&busybox)?);
    let mut libraries = libraries_of(&built.test)?;
    archive.file("kernel-test", &read(&built.test)?);
    let program = built.program.to_string_lossy();
    archive.file(program.trim_start_matches('/'), &read(&built.program)?);
    libraries.extend(libraries_of(&built.program)?);
    // The program opens it at run time.
    let libpcap = find_library(LIBPCAP)?;
    libraries.extend(libraries_of(&libpcap)?);
    libraries.push(libpcap);
    for tool in TOOLS {
        let path = find_program(tool)?;
        archive.file(&format!("bin/{tool}"), &read(&path)?);
        libraries.extend(libraries_of(&path)?);
    }
    libraries.sort();
    libraries.dedup();
    for library in libraries {
        let path = library.to_string_lossy();
        archive.file(path.trim_start_matches('/'), &read(&library)?);
    }
    let veth = find(&kernel.modules, &|path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("veth.ko"))
    })?;
    // Newer packages compress their modules, which the shell undoes.
    let extension = veth.extension().unwrap_or_default().to_string_lossy();
    archive.file(&format!("veth.{extension}"), &read(&veth)?);
    captures(&mut archive, &root.join("tests/captures"), "captures")?;
    archive.file("etc/passwd", USERS.as_bytes());
    archive.file("etc/group", GROUPS.as_bytes());
    archive.file("init", init(filter).as_bytes());
    Ok(archive.finish())
}

/// The first program that the kernel starts.
fn init(filter: &str) -> String {
    format!(
        "#!/bin/busybox sh\n\
         export PATH=/bin FLOWSIFT_REQUIRE_KERNEL=1 FLOWSIFT_CAPTURES=/captures FLOWSIFT_MAY_SET_CLOCK=1\n\
         busybox mount -t proc proc /proc\n\
         busybox mount -t sysfs sys /sys\n\
         busybox mount -t devtmpfs dev /dev\n\
         busybox mount -t tmpfs tmp /tmp\n\
         [ -f /veth.xz ] && busybox unxz -c /veth.xz >/veth.ko\n\
         busybox insmod /veth.ko\n\
         ip link set lo up\n\
         busybox uname -sr\n\
         /kernel-test --test-threads=1 {filter}\n\
         echo \"{END}$?\"\n\
         busybox poweroff -f\n"
    )
}

/// The captures that ship with the repository.
fn captures(archive: &mut Archive, folder: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            captures(archive, &entry.path(), &name)?;
        } else {
            archive.file(&name, &read(&entry.path())?);
        }
    }
    Ok(())
}

/// A program by its name in the usual places.
fn find_program(name: &str) -> Result<PathBuf> {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    places
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!("{name} is not installed (busybox-static, iproute2, util-linux)").into()
        })
}

/// A shared library by its name, where the loader's cache says that it is.
fn find_library(name: &str) -> Result<PathBuf> {
    let listed = String::from_utf8(output(Command::new("/sbin/ldconfig").arg("-p"))?)?;
    let mut paths = listed
        .lines()
        .filter(|line| line.trim_start().starts_with(name))
        .filter_map(|line| Some(PathBuf::from(line.split_once("=> ")?.1)));
    paths
        .next()
        .ok_or_else(|| format!("{name} is not installed (libpcap0.8)").into())
}

/// The shared libraries of a program and its loader, as `ldd` lists them.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let listed = String::from_utf8(output(Command::new("ldd").arg(program))?)?;
    let paths = listed.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words
            .iter()
            .find(|word| word.starts_with('/'))
            .map(PathBuf::from)
    });
    Ok(paths.collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()).into())
}
