//! Which rows of a chunk a predicate is true of: the tree is decided for "true" and for "false"
//! apart, as row by row, a column at a time.

use std::ops::{BitAnd, BitOr, Not};

use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::common::Result;

use super::field::{Field, Fields};
use super::hold::holds;
use crate::exec::scan::predicate::Predicate;
use crate::exec::scan::test::Test;

/// Decides predicates on one chunk.
pub(super) struct Decision<'a> {
    fields: Fields<'a>,
    /// Columns that were made for a test, as others may test them too.
    made: Vec<(usize, Field<'a>)>,
}

impl<'a> Decision<'a> {
    pub(super) fn new(fields: Fields<'a>) -> Self {
        Self {
            fields,
            made: Vec::new(),
        }
    }

    /// The rows of which it is true.
    pub(super) fn is_true(&mut self, predicate: &Predicate) -> Result<BooleanBuffer> {
        Ok(match predicate {
            Predicate::Constant(value) => self.constant(*value == Some(true)),
            Predicate::Present(column) => self.present(*column),
            Predicate::Value(column, test) => self.value(*column, test, true)?,
            Predicate::And(parts) => self.all(parts, Self::is_true)?,
            Predicate::Or(parts) => self.any(parts, Self::is_true)?,
            Predicate::Not(part) => self.is_false(part)?,
            Predicate::Is(part, wanted) => self.is(part, *wanted)?,
        })
    }

    fn is_false(&mut self, predicate: &Predicate) -> Result<BooleanBuffer> {
        Ok(match predicate {
            Predicate::Constant(value) => self.constant(*value == Some(false)),
            Predicate::Present(column) => self.present(*column).not(),
            Predicate::Value(column, test) => self.value(*column, test, false)?,
            Predicate::And(parts) => self.any(parts, Self::is_false)?,
            Predicate::Or(parts) => self.all(parts, Self::is_false)?,
            Predicate::Not(part) => self.is_true(part)?,
            Predicate::Is(part, wanted) => self.is(part, *wanted)?.not(),
        })
    }

    fn is(&mut self, part: &Predicate, wanted: Option<bool>) -> Result<BooleanBuffer> {
        match wanted {
            Some(true) => self.is_true(part),
            Some(false) => self.is_false(part),
            None => Ok((&self.is_true(part)?).bitor(&self.is_false(part)?).not()),
        }
    }

    /// The rows of which each part is so.
    fn all(
        &mut self,
        parts: &[Predicate],
        is: fn(&mut Self, &Predicate) -> Result<BooleanBuffer>,
    ) -> Result<BooleanBuffer> {
        let mut rows = self.constant(true);
        for part in parts {
            rows = (&rows).bitand(&is(self, part)?);
            if rows.count_set_bits() == 0 {
                break;
            }
        }
        Ok(rows)
    }

    /// The rows of which any part is so.
    fn any(
        &mut self,
        parts: &[Predicate],
        is: fn(&mut Self, &Predicate) -> Result<BooleanBuffer>,
    ) -> Result<BooleanBuffer> {
        let mut rows = self.constant(false);
        for part in parts {
            rows = (&rows).bitor(&is(self, part)?);
        }
        Ok(rows)
    }

    fn constant(&self, value: bool) -> BooleanBuffer {
        match value {
            true => BooleanBuffer::new_set(self.fields.rows()),
            false => BooleanBuffer::new_unset(self.fields.rows()),
        }
    }

    /// The rows that have a value in a column.
    fn present(&self, column: usize) -> BooleanBuffer {
        match self.fields.presence(column) {
            Ok(Some(nulls)) => nulls.into_inner(),
            Ok(None) => self.constant(true),
            Err(same) => self.constant(same),
        }
    }

    /// The rows that have a value of which the test says this.
    fn value(&mut self, column: usize, test: &Test, wanted: bool) -> Result<BooleanBuffer> {
        let made = self.made.iter().position(|(made, _)| *made == column);
        let at = match made {
            Some(at) => at,
            None => {
                self.made.push((column, self.fields.field(column)?));
                self.made.len() - 1
            }
        };
        let (holds, nulls) = match self.made.get(at).map(|(_, field)| field) {
            Some(Field::Array(array)) => (holds(test, array), array.nulls().cloned()),
            Some(Field::Same(Some(value))) => {
                return Ok(self.constant(test.holds(value) == wanted));
            }
            Some(Field::Same(None)) | None => return Ok(self.constant(false)),
        };
        let said = if wanted { holds } else { holds.not() };
        Ok(match nulls.map(NullBuffer::into_inner) {
            Some(known) => (&said).bitand(&known),
            None => said,
        })
    }
}
