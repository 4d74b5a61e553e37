//! The names of results and failures in the trace.

use std::fmt;

use ramie::hub::BlockingSwitchOutError;
use ramie::{Exception, Failure, GetError, GreenletExit, LoopExit, SystemExit, Timeout};

use super::words::{Done, Error, Panicked};
use super::world::World;

impl World {
    pub(super) fn result<V: fmt::Debug>(&self, result: Result<V, Failure>) -> Done {
        match result {
            Ok(value) => Done::value(value),
            Err(failure) => self.failed(&failure),
        }
    }

    pub(super) fn result_in_time<V: fmt::Debug>(&self, result: Result<V, GetError>) -> Done {
        match result {
            Ok(value) => Done::value(value),
            Err(GetError::TimedOut) => Done::timeout(),
            Err(GetError::Failed(failure)) => self.failed(&failure),
        }
    }

    /// A failure that was returned. A plain kill is a value in gevent, and is told like one.
    pub(super) fn failed(&self, failure: &Failure) -> Done {
        if failure.is_exit() {
            return Done::word("exit");
        }
        let word = format!("err {}", self.name_of(failure));
        Done { word, error: failure.exception().cloned() }
    }

    pub(super) fn name_of(&self, failure: &Failure) -> String {
        match failure.exception() {
            Some(exception) => self.name(exception),
            None => format!("panic: {failure}"),
        }
    }

    pub(super) fn name(&self, exception: &Exception) -> String {
        if let Some(error) = exception.downcast_ref::<Error>() {
            error.to_string()
        } else if exception.is::<GreenletExit>() {
            "exit".into()
        } else if let Some(timeout) = exception.downcast_ref::<Timeout>() {
            self.timeout_name(timeout)
        } else if exception.is::<LoopExit>() {
            "LoopExit".into()
        } else if exception.is::<BlockingSwitchOutError>() {
            "Blocking".into()
        } else if exception.is::<SystemExit>() {
            "system".into()
        } else if let Some(panicked) = exception.downcast_ref::<Panicked>() {
            format!("panic: {panicked}")
        } else {
            format!("other: {exception}")
        }
    }
}
