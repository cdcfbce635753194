//! The README's sessions are run, so that they cannot rot.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::root;

/// A fenced `console` block: (command, what it prints).
fn sessions(text: &str) -> Vec<(String, String)> {
    let mut sessions: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            match line.strip_prefix("$ ") {
                Some(command) => sessions.push((command.to_owned(), String::new())),
                None => {
                    let session = sessions.last_mut().expect("output follows a command");
                    if session.0.ends_with('\\') && session.1.is_empty() {
                        session.0.pop();
                        session.0.push_str(line.trim_start());
                    } else {
                        session.1.push_str(line);
                        session.1.push('\n');
                    }
                }
            }
        }
    }
    sessions
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let sessions = sessions(&text);
    assert!(
        sessions.len() >= 2,
        "the README has {} sessions",
        sessions.len()
    );
    for (command, expected) in sessions {
        // `cargo run` would build again what the tests have built already.
        let script = command.replace("cargo run --release -p flowsift --", "flowsift");
        let folder = Path::new(env!("CARGO_BIN_EXE_flowsift")).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(root())
            .envs([
                ("COLUMNS", "80"),
                ("LINES", "24"),
                ("TERM", "dumb"),
                ("PATH", &path),
            ])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let trim = |text: &str| {
            text.trim_end()
                .lines()
                .map(str::trim_end)
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(
            trim(&printed),
            trim(&expected),
            "{command}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
