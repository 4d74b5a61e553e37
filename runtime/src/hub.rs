//! The hub and its parts, for code that adds a waitable object or a protocol, hands messages to the
//! hub of another thread, or embeds the loop.
//!
//! Programs that only use what this crate offers need none of it. [`get_hub`](crate::get_hub)
//! returns the hub of the calling thread. [`ramie_hub`] describes the loop, its promises and its
//! end.
//!
//! | to | use |
//! |---|---|
//! | ask or embed the hub | [`Hub`], [`Next`], [`try_get_hub`], [`HubStats`], [`abandoned_greenlets`], [`idle`] |
//! | run a callback for a timer, a descriptor or an idle loop | [`Watcher`], [`Callback`] |
//! | handle errors that no caller receives | [`ErrorHandler`], [`ErrorContext`] |
//! | build a waitable object | [`WaitQueue`], [`Waits`], [`Turn`], [`Lane`], [`WakePolicy`], [`LinkId`] |
//! | wait for a descriptor or another source | [`Io`], [`Source`] |
//! | wait for a time in a future | [`Sleep`] |
//! | reach the hub of another thread | [`Remote`], [`RemoteGreenlet`], [`Reply`], [`Waiter`], [`Waker`], [`KeepAlive`] |
//! | pass a value through other threads, or give it to a crate that requires `Send` | [`Bound`] |
//! | lend a frame to another thread | [`lend`], [`Lent`], [`run_job`] |
//! | observe every spawn, or spawn a bare callback | [`add_spawn_callback`], [`spawn_raw`] |
//! | write a function that takes several objects | [`IntoWaitables`], [`IntoGreenlets`], [`IWait`] |
//! | examine a caught exception or a failure | [`Caught`], [`Raised`], [`FailureText`] |

#[doc(hidden)]
pub use ramie_hub::has_hub;
pub use ramie_hub::{
    BlockingSwitchOutError, Body, Bound, Callback, Caught, DEFAULT_STACK_SIZE, ErrorContext, ErrorHandler,
    FailureText, Fallible, Hub, HubGone, HubStats, IWait, IntoGreenlets, IntoWaitables, Io, Iterated,
    JobFailure, KeepAlive, Lane, Lent, LinkId, Listed, LocalKey, MIN_STACK_SIZE, Next, NotRun, Raised,
    Remote, RemoteGreenlet, Reply, ScopedBody, Sleep, Source, SpawnCallbackId, StackError, StackStats, Turn,
    WaitError, WaitFuture, WaitQueue, WaitWhileBorrowed, Waiter, Waiting, Waits, WakePolicy, Waker, Watcher,
    abandoned_greenlets, add_spawn_callback, idle, lend, remove_spawn_callback, run_job, sleep_unref,
    spawn_raw, try_get_hub,
};
