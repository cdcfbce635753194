//! `flowsift man`: manual pages of every command, from the command line's own declarations.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::args::{Cli, ManArgs};
use super::error::Error;

/// What clap cannot know, by the command's name; the empty name is the program itself. The text
/// is roff, in sections that follow the options.
const EXAMPLES: [(&str, &str); 10] = [
    (
        "",
        "Which machine talks to unusually many peers?\n\
         .PP\n.nf\nflowsift query \\-\\-store /var/lib/flowsift \\(aqpacket ipv4.DstIP !~ PRIVATE ipv4.SrcIP \
         | count by SrcIP,DstIP | count by SrcIP | sort by count desc | table SrcIP count\\(aq\n.fi\n",
    ),
    (
        "query",
        ".nf\nflowsift query \\-r capture.pcap \\(aqpacket ipv4.SrcIP | count by SrcIP | table SrcIP count\\(aq\n\
         flowsift query \\-\\-store /var/lib/flowsift \\-w host.pcap \\(aqpacket ipv4.SrcIP == 10.0.0.7 | pcap\\(aq\n.fi\n",
    ),
    (
        "replay",
        ".nf\nflowsift replay \\-r capture.pcap \\(aqpacket ipv4.SrcIP | count by SrcIP | table SrcIP count\\(aq\n.fi\n",
    ),
    (
        "parse",
        ".nf\nflowsift parse \\(aqpacket tcp.DstPort == 443 | count by DstPort\\(aq\n.fi\n",
    ),
    (
        "capture",
        ".nf\nflowsift capture \\-i eth0 \\-\\-store /var/lib/flowsift\n\
         flowsift capture \\-i eth0 \\-w \\- \\(aqtcp port 443\\(aq | tshark \\-r \\-\n.fi\n",
    ),
    (
        "agent",
        ".nf\nflowsift agent \\-\\-check\\-config\nsystemctl reload flowsift\n.fi\n",
    ),
    (
        "status",
        ".nf\nflowsift status \\-\\-store /var/lib/flowsift \\-\\-format json\n.fi\n",
    ),
    (
        "store",
        ".nf\nflowsift store ls \\-\\-store /var/lib/flowsift\n.fi\n",
    ),
    (
        "import",
        ".nf\nflowsift import \\-\\-store /var/lib/flowsift old.pcap\n.fi\n",
    ),
    (
        "completions",
        ".nf\nflowsift completions bash >/etc/bash_completion.d/flowsift\n.fi\n",
    ),
];

const EXIT_STATUS: &str = "\
.TP\n0\nAnswered; a closed pipe ends quietly, too.\n\
.TP\n1\nCould not run: input, output, memory.\n\
.TP\n2\nThe command line, the query or the configuration is wrong.\n\
.TP\n3\nAnswered, but input was damaged and \\-\\-strict was given; of status: no capture runs.\n\
.TP\n130\nInterrupted.\n";

const FILES: &str = "\
.TP\n/etc/flowsift/flowsift.toml\nThe daemon\\(aqs configuration.\n\
.TP\n/var/lib/flowsift\nThe store of the daemon.\n\
.TP\n/var/lib/flowsift/agent.sock\nThe socket on which a running capture answers.\n";

/// Prints the program's page, or writes every page into a folder.
pub(super) fn run(args: &ManArgs, out: &mut dyn Write) -> Result<(), Error> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &args.dir {
        None => out.write_all(&page(&command, "flowsift", "")?)?,
        Some(dir) => {
            let cannot = |error: io::Error| {
                let text = format!("{}: {error}", dir.display());
                Error::Output(io::Error::new(error.kind(), text))
            };
            fs::create_dir_all(dir).map_err(cannot)?;
            write_all(&command, "flowsift", "", dir).map_err(cannot)?;
        }
    }
    Ok(())
}

/// Writes the page of a command, and those of the commands below it.
fn write_all(command: &Command, name: &str, path: &str, dir: &Path) -> io::Result<()> {
    fs::write(dir.join(format!("{name}.1")), page(command, name, path)?)?;
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        let path = format!("{path} {}", below.get_name());
        let name = format!("{name}-{}", below.get_name());
        write_all(below, &name, path.trim_start(), dir)?;
    }
    Ok(())
}

/// One page. `path` is how the command is called behind the program's name.
fn page(command: &Command, name: &str, path: &str) -> io::Result<Vec<u8>> {
    let version = env!("CARGO_PKG_VERSION");
    let man = Man::new(command.clone());
    // By hand: an empty date (the same version gives the same bytes) needs its quotes.
    let mut text = format!(
        ".TH {} 1 \"\" \"flowsift {version}\" \"flowsift manual\"\n",
        name.to_uppercase().replace('-', "\\-")
    )
    .into_bytes();
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    section(&mut text, "EXIT STATUS", EXIT_STATUS)?;
    section(&mut text, "FILES", FILES)?;
    let first = path.split(' ').next().unwrap_or_default();
    if let Some((_, example)) = EXAMPLES.iter().find(|(of, _)| *of == first) {
        section(&mut text, "EXAMPLES", example)?;
    }
    if !path.is_empty() {
        section(&mut text, "SEE ALSO", ".BR flowsift (1)\n")?;
    }
    Ok(text)
}

fn section(text: &mut Vec<u8>, title: &str, body: &str) -> io::Result<()> {
    write!(text, ".SH \"{title}\"\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_sections() {
        let dir = tempfile::tempdir().unwrap();
        let args = ManArgs {
            dir: Some(dir.path().to_owned()),
        };
        run(&args, &mut io::sink()).unwrap();
        for command in Cli::command().get_subcommands() {
            let file = dir
                .path()
                .join(format!("flowsift-{}.1", command.get_name()));
            let text = fs::read_to_string(&file).unwrap();
            for title in ["EXIT STATUS", "FILES", "SEE ALSO"] {
                assert!(
                    text.contains(&format!(".SH \"{title}\"")),
                    "{file:?} {title}"
                );
            }
        }
        let nested = fs::read_to_string(dir.path().join("flowsift-store-ls.1")).unwrap();
        assert!(nested.contains("\\fBflowsift store ls\\fR"), "{nested}");
    }

    #[test]
    fn every_example_belongs_to_a_command() {
        let command = Cli::command();
        for (name, _) in EXAMPLES {
            // Those of the engine and of capture are there with their feature.
            let built = cfg!(all(feature = "engine", feature = "capture"));
            let found = name.is_empty() || command.find_subcommand(name).is_some();
            assert!(found || !built, "{name}");
        }
    }
}
