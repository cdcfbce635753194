//! Tells queries how full the rings are, so that they give way.

use super::worker::Telling;
use super::write::Output;
use crate::store::fill::Publisher;

/// Said where queries cannot see the fill.
const NOT_PUBLISHED: &str = "queries of the store do not give way to this capture";

/// How full the rings are, for queries that read the output meanwhile: they give way.
pub(super) struct Published(Option<Publisher>);

impl Published {
    /// Capture goes on without it.
    pub(super) fn by(output: &mut dyn Output, tell: &mut dyn FnMut(Telling<'_>)) -> Self {
        Self(output.publisher().unwrap_or_else(|error| {
            tell(Telling::Note(&format!("{NOT_PUBLISHED}: {error}")));
            None
        }))
    }

    pub(super) fn share(&mut self, share: f64, tell: &mut dyn FnMut(Telling<'_>)) {
        let Some(publisher) = &mut self.0 else {
            return;
        };
        if let Err(error) = publisher.publish(share) {
            tell(Telling::Note(&format!("{NOT_PUBLISHED}: {error}")));
            self.0 = None;
        }
    }
}
