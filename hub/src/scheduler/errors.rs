//! Handles errors that no caller can receive.

use super::Core;
use crate::exception::{Failure, SystemExit};
use crate::scheduler::report::{ErrorContext, ErrorHandler, print};
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::stderr;

impl Core {
    /// Passes an error that no caller can receive to the error handler. A system error also goes to
    /// main.
    pub(crate) fn handle_error(&self, context: &ErrorContext, failure: &Failure) {
        let handler = self.hooks.error_handler();
        match handler {
            Some(handler) => {
                if let Err(escape) = self.as_hub(|| guard(|| handler(context, failure))) {
                    let failure = escape.into_failure();
                    print_guarded(context, &failure);
                    guard_drop(failure);
                }
                // Perhaps the last reference to the handler, if the handler has replaced itself.
                self.as_hub(|| guard_drop(handler));
            }
            None if self.hooks.is_error(failure) => print_guarded(context, failure),
            None => {}
        }
        if let Some(exception) = failure.exception().filter(|exception| exception.is::<SystemExit>()) {
            self.pace.call_for_loop();
            self.main.push_urgent(exception.clone());
            if self.in_hub() {
                self.deliver_urgent();
            }
            self.alert_driver();
        }
    }

    /// Reports the escape of a guarded call, and drops it.
    pub(crate) fn report(&self, context: &ErrorContext, escape: Escape) {
        let failure = escape.into_failure();
        self.handle_error(context, &failure);
        guard_drop(failure);
    }

    /// Runs a user's closure inside the hub. An error is reported. Returns `true` if there was
    /// none.
    pub(crate) fn call(&self, context: impl FnOnce() -> ErrorContext, f: impl FnOnce()) -> bool {
        match guard(f) {
            Ok(()) => true,
            Err(escape) => {
                self.report(&context(), escape);
                false
            }
        }
    }

    pub(crate) fn set_error_handler(&self, handler: Option<ErrorHandler>) -> Option<ErrorHandler> {
        self.hooks.set_error_handler(handler)
    }

    /// Makes the default report ignore failures of a kind.
    pub(crate) fn not_error<E: 'static>(&self) {
        self.hooks.not_error::<E>();
    }
}

/// Prints the default report. The error is formatted by user code, which may panic.
fn print_guarded(context: &ErrorContext, failure: &Failure) {
    if let Err(escape) = guard(|| print(context, failure)) {
        escape.let_go();
        stderr::write(&format!("ramie: the report of a {} has failed\n", failure.kind()));
    }
}
