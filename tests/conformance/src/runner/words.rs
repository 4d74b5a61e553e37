//! The words of the trace: one vocabulary for what both worlds raise.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ramie::Exception;
use ramie::hub::Raised;

/// An error of the program's own: its kind, and its number.
#[derive(Clone, Debug)]
pub(super) struct Error {
    pub(super) kind: char,
    pub(super) number: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.number)
    }
}

/// A panic that was caught, as an exception.
#[derive(Clone, Debug)]
pub(super) struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of a step: its word in the trace, and the error that it returned, if it did.
pub(super) struct Done {
    pub(super) word: String,
    pub(super) error: Option<Exception>,
}

impl Done {
    pub(super) fn ok() -> Self {
        Done::word("ok")
    }

    pub(super) fn word(word: impl Into<String>) -> Self {
        Done { word: word.into(), error: None }
    }

    pub(super) fn value(value: impl fmt::Debug) -> Self {
        Done::word(format!("{value:?}"))
    }

    /// The slot or the object is not what the step needs.
    pub(super) fn unset() -> Self {
        Done::word("unset")
    }

    /// Returns the word for a result that did not come in time.
    pub(super) fn timeout() -> Self {
        Done::word("timeout")
    }

    pub(super) fn flag(flag: bool) -> Self {
        Done::word(if flag { "true" } else { "false" })
    }
}

/// Runs `f` and catches whatever it raises.
pub(super) fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, Exception> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| match payload.downcast::<Raised>() {
        Ok(raised) => raised.into_exception().expect("the exception is of this thread"),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Exception::new(Panicked(text.unwrap_or_default()))
        }
    })
}
