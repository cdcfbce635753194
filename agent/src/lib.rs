//! flowsift: from the bytes of a capture to the answer of a query, in one direction.
//!
//! ```text
//! capfile -> decode -> exec (scan) -> exec (run) -> render
//!                        ^
//!            lang -> plan
//! ```
//!
//! Modules are listed in the order in which data meets them; a module knows only
//! those that its row in ARCHITECTURE.md names.

pub mod frame;
pub mod frames;
pub mod missed;
#[cfg(any(feature = "capture", feature = "engine"))]
mod priority;
pub mod shape;
mod spelling;
pub mod text;
pub mod types;
pub mod wall;
pub mod zone;

pub mod capfile;
#[cfg(feature = "capture")]
pub mod capture;
pub mod decode;
pub mod lang;
pub mod plan;

#[cfg(feature = "store")]
pub mod store;

#[cfg(feature = "capture")]
pub mod record;

#[cfg(feature = "cli")]
pub mod serve;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "engine")]
pub mod exec;
#[cfg(feature = "engine")]
pub mod live;
#[cfg(feature = "engine")]
pub mod render;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Which modules each module may name (`exec` needs of `lang` the one reader of times) in `use crate::...` and `crate::...` paths.
    const MAY_USE: &[(&str, &[&str])] = &[
        ("capfile", &["frame"]),
        ("capture", &["frame"]),
        (
            "record",
            &["capture", "decode", "frame", "priority", "store", "wall"],
        ),
        ("decode", &["frame", "spelling", "types"]),
        ("store", &["capfile", "decode", "frame", "wall"]),
        ("lang", &[]),
        (
            "plan",
            &["decode", "lang", "spelling", "text", "types", "zone"],
        ),
        (
            "exec",
            &[
                "capfile", "decode", "frame", "frames", "lang", "missed", "plan", "shape", "store",
                "text", "types", "wall", "zone",
            ],
        ),
        (
            "live",
            &[
                "capfile", "exec", "frame", "frames", "serve", "store", "wall",
            ],
        ),
        ("serve", &["capture", "record", "spelling", "store"]),
        (
            "render",
            &["capfile", "frame", "missed", "shape", "text", "types"],
        ),
    ];

    fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn modules_know_only_what_stands_before_them() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut wrong = Vec::new();
        for (module, may_use) in MAY_USE {
            let mut files = Vec::new();
            sources(&root.join(module), &mut files);
            assert!(!files.is_empty(), "{module} has no files");
            for file in files {
                let text = fs::read_to_string(&file).unwrap();
                // Tests may reach further: they compare with what stands elsewhere.
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                if file
                    .file_stem()
                    .is_some_and(|stem| stem == "tests" || stem == "testing")
                {
                    continue;
                }
                for used in code.split("crate::").skip(1) {
                    let name = used
                        .split(|c: char| !c.is_ascii_lowercase())
                        .next()
                        .unwrap();
                    if name != *module && !name.is_empty() && !may_use.contains(&name) {
                        wrong.push(format!("{} uses {name}", file.display()));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
