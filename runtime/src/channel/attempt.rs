//! The results of single attempts to send or receive, for callers that wait between attempts.

use super::error::{RecvError, SendTimeoutError, TryRecvError, TrySendError};

/// Returns the result of an attempt to send that ends the call. Keeps the message for another
/// attempt if there was no room and this attempt was not the last.
pub(crate) fn unless_full<T>(
    sent: Result<(), TrySendError<T>>,
    last: bool,
    kept: &mut Option<T>,
) -> Option<Result<(), SendTimeoutError<T>>> {
    match sent {
        Ok(()) => Some(Ok(())),
        Err(TrySendError::Disconnected(message)) => Some(Err(SendTimeoutError::Disconnected(message))),
        Err(TrySendError::Full(message)) if last => Some(Err(SendTimeoutError::Timeout(message))),
        Err(TrySendError::Full(message)) => {
            *kept = Some(message);
            None
        }
    }
}

/// Returns the result of an attempt to receive that ends the call, or `None` if there is nothing
/// yet.
pub(crate) fn unless_empty<T>(received: Result<T, TryRecvError>) -> Option<Result<T, RecvError>> {
    match received {
        Ok(message) => Some(Ok(message)),
        Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
        Err(TryRecvError::Empty) => None,
    }
}
