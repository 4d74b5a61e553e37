//! The results of `imap` as a stream of futures.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ramie_hub::{Failure, WaitFuture, WaitQueue};

use super::imap::{IMap, Request, Results};

/// A stream over the results of a function that runs in a group or a pool, for executors on the
/// thread of the group that let the hub run while a future is pending. Returned by
/// [`IMap::into_stream`].
///
/// The items are those of the iterator, and so is the effect of a drop.
///
/// # Cancellation
///
/// A future of the next item that is dropped loses nothing.
#[must_use = "streams do nothing unless polled"]
pub struct IMapStream<R: 'static> {
    imap: IMap<R>,
    pending: Option<Pending<R>>,
}

/// The wait for the next item.
struct Pending<R: 'static> {
    news: WaitFuture<WaitQueue<Results<R>>, ()>,
    /// The record that the caller waits; see [`Spawn::wait_for_mapping`](super::spawn::Spawn).
    _waits: Option<Box<dyn Any>>,
}

impl<R: 'static> IMap<R> {
    /// Returns a stream over the remaining results.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "futures")] {
    /// use ramie::{Group, Mapping};
    ///
    /// let squares = Group::new().imap(0..4, |i| i * i).into_stream();
    /// # drop(squares);
    /// # }
    /// ```
    pub fn into_stream(self) -> IMapStream<R> {
        IMapStream { imap: self, pending: None }
    }
}

impl<R: 'static> Stream for IMapStream<R> {
    type Item = Result<R, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let IMapStream { imap, pending } = self.get_mut();
        if imap.over {
            return Poll::Ready(None);
        }
        imap.ask();
        loop {
            if let Some(next) = imap.results.attempt(&mut imap.asked, &mut imap.over) {
                *pending = None;
                return Poll::Ready(next);
            }
            let wait = pending.get_or_insert_with(|| {
                imap.results.news.set(false);
                let waits = (imap.jobs)(Request::Wait);
                Pending { news: WaitFuture::new(imap.results.clone(), |_| ()), _waits: waits }
            });
            ready!(Pin::new(&mut wait.news).poll(cx));
            *pending = None;
        }
    }
}

impl<R: 'static> fmt::Debug for IMapStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IMapStream").field(&self.imap).finish()
    }
}
