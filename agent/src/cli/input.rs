//! Which files a query reads.

use super::args::QueryArgs;
use super::error::Error;
use crate::capfile;
use crate::exec::scan::ScanFile;
use crate::plan::pipeline::Pipeline;

/// The files that the command line names and whose tag the query asks for.
pub(super) fn files(args: &QueryArgs, pipeline: &Pipeline) -> Result<Vec<ScanFile>, Error> {
    if args.read.is_empty() {
        return Err(Error::Usage {
            message: "no packets to read".to_owned(),
            hint: "name a capture file, a folder or standard input: -r FILE".to_owned(),
        });
    }
    let mut files = ScanFile::tagged(capfile::discover(&args.read)?, &args.tag);
    let found = files.len();
    files.retain(|file| file.has_tag(&pipeline.tags));
    if files.is_empty() && found > 0 {
        eprintln!(
            "note: the query asks for tag {}, but the files carry tag {} (--tag TAG gives them another)",
            pipeline.tags.join(","),
            args.tag,
        );
    }
    Ok(files)
}
