//! The second program, for what this machine sends itself (tcx, Linux 6.6): loaded only where it is
//! wanted, attached beside the first, with the same rings, configurations and counters.

use std::io;
use std::time::Duration;

use agent_common::config::names;
use aya::EbpfError;
use aya::programs::links::LinkOrder;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{
    ProgramError as AyaError, SchedClassifier, TcAttachType, TestRun as _, TestRunOptions,
};

use super::config::Note;
use super::program::{self, Program};
use super::refusal::{AttachError, explain_egress};
use super::{Attachment, ProgramError};

impl Program {
    /// Loads the second program, too.
    ///
    /// # Errors
    /// If the verifier refuses it. That the kernel has no tcx shows only where it is attached.
    pub fn load_egress(&mut self) -> Result<(), ProgramError> {
        let classifier = self.classifier()?;
        program::verified(|| classifier.load())
    }

    /// Has what the attachment's interface sends captured, too, for as long as it lives. Sent and
    /// received packets share slot, configuration and counters.
    ///
    /// # Errors
    /// If [`Program::load_egress`] was not called before, or the kernel has no tcx.
    pub fn attach_egress(&mut self, attachment: &mut Attachment) -> Result<(), AttachError> {
        let link = self.link_egress(&attachment.interface.name);
        let link = link.map_err(|error| explain_egress(error, &attachment.interface))?;
        attachment.egress = Some(link);
        attachment.notes.push(Note::Egress);
        Ok(())
    }

    /// By the name: the library takes no index. Were it another interface's by now, its packets
    /// would have no configuration, and would be counted as such.
    fn link_egress(&mut self, interface: &str) -> Result<SchedClassifierLink, AyaError> {
        let classifier = self
            .classifier()
            .map_err(|error| AyaError::IOError(io::Error::other(error)))?;
        // A link, not a filter of a qdisc: it ends with its descriptor.
        let options = TcAttachOptions::TcxOrder(LinkOrder::default());
        let id = classifier.attach_with_options(interface, TcAttachType::Egress, options)?;
        classifier.take_link(id)
    }

    /// As [`Program::test_run`], for the second program and a frame that is sent.
    ///
    /// # Errors
    /// As there, and where [`Program::load_egress`] was not called before.
    pub fn test_run_egress(&mut self, frame: &[u8], repeat: u32) -> io::Result<(i32, Duration)> {
        let options = TestRunOptions {
            data_in: Some(frame),
            repeat,
            ..TestRunOptions::new()
        };
        let classifier = self.classifier().map_err(io::Error::other)?;
        match classifier.test_run(options) {
            Ok(result) => Ok((result.return_value.cast_signed(), result.duration)),
            Err(AyaError::SyscallError(error)) => Err(error.io_error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn classifier(&mut self) -> Result<&mut SchedClassifier, ProgramError> {
        let program = self
            .ebpf
            .program_mut(names::EGRESS_PROGRAM)
            .ok_or_else(|| program::missing(names::EGRESS_PROGRAM))?;
        program
            .try_into()
            .map_err(|error| ProgramError::Object(EbpfError::ProgramError(error)))
    }
}
