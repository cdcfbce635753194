//! Debian's kernel packages: the newest of a series, fetched and unpacked once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, output};

/// A kernel that can be booted.
pub(super) struct Kernel {
    /// Its package's name.
    pub(super) name: String,
    pub(super) image: PathBuf,
    /// Below which its modules are.
    pub(super) modules: PathBuf,
}

/// The newest cloud kernel of a series, such as `6.1`; below `work`, where it stays.
pub(super) fn fetch(work: &Path, series: &str) -> Result<Kernel> {
    let name = newest(series)?;
    let folder = work.join(&name);
    if !folder.is_dir() {
        // Unpacked beside its place, so that an interrupted run leaves no half of a kernel.
        let partial = work.join(format!("{name}.partial"));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        output(
            Command::new("apt-get")
                .args(["download", &name])
                .current_dir(&partial),
        )?;
        let package = find(&partial, &|path| {
            path.extension().is_some_and(|extension| extension == "deb")
        })?;
        output(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(&package)
                .arg(&partial),
        )?;
        fs::remove_file(package)?;
        fs::rename(&partial, &folder)?;
    }
    let image = find(&folder.join("boot"), &|path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("vmlinuz-"))
    })?;
    Ok(Kernel {
        name,
        image,
        modules: folder.join("lib/modules"),
    })
}

fn newest(series: &str) -> Result<String> {
    let names =
        output(Command::new("apt-cache").args(["pkgnames", &format!("linux-image-{series}.")]))?;
    let names = String::from_utf8(names)?;
    let newest = names
        .lines()
        .filter(|name| name.ends_with("-cloud-amd64"))
        .max_by_key(|name| numbers(name));
    newest.map(str::to_owned).ok_or_else(|| {
        format!("apt knows no cloud kernel {series} (`apt-get update`, or a release without it)")
            .into()
    })
}

/// The numbers in a name, which order versions.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// The first file below a folder that is asked for.
pub(super) fn find(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<PathBuf> {
    search(folder, wanted)?.ok_or_else(|| format!("{}: not found there", folder.display()).into())
}

fn search(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if let Some(found) = search(&path, wanted)? {
                return Ok(Some(found));
            }
        } else if wanted(&path) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let older = numbers("linux-image-6.1.0-9-cloud-amd64");
        assert!(older < numbers("linux-image-6.1.0-56-cloud-amd64"));
        assert!(numbers("linux-image-6.12.9+deb12-x") < numbers("linux-image-6.12.10+deb12-x"));
    }
}
