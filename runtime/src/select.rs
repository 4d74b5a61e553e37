//! Waiting for the first of several operations: a receive, a send, an accept, or a timeout.
//!
//! Programs use [`select!`](crate::select!); the types here are its building blocks.
//! [`wait`](fn@crate::wait) and [`iwait`] wait for objects without taking anything from them.
//!
//! **Order.** Arms are tried one after another, each time starting with a different one, so that
//! arms that are always ready are chosen equally often. The greenlet waits, for all arms at once,
//! only if none can proceed.
//!
//! **A kill or a timeout during a wait.** Nothing is received or sent before an arm is chosen. An
//! arm that is not chosen leaves its wait queue.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ramie_hub::generic::{Event, Semaphore, Sharing};
use ramie_hub::{AsyncResult, Failure, Greenlet, Waitable, iwait};

// For the macro.
#[doc(hidden)]
pub use ramie_hub::Limit;

use crate::channel::attempt::{unless_empty, unless_full};
use crate::channel::{Receiver, RecvError, SendError, Sender};
use crate::net::{TcpListener, TcpStream};
use crate::queue::{Channel, Order, Queue, ShutDown, SimpleQueue};
use crate::shared;

/// An arm of a [`select!`](crate::select!): an operation that can be attempted, and the object to
/// wait for.
pub trait Arm {
    /// The result of the operation.
    type Output;

    /// Performs the operation if it needs no wait.
    fn attempt(&mut self) -> Option<Self::Output>;

    /// Returns the object to wait for before the next attempt.
    fn waitable(&self) -> &dyn Waitable;
}

/// An object that a [`select!`](crate::select!) can receive from.
pub trait Recv: Waitable {
    /// The type of received values.
    type Output;

    /// Receives a value if this needs no wait.
    fn attempt_recv(&self) -> Option<Self::Output>;
}

impl<R: Recv + ?Sized> Recv for &R {
    type Output = R::Output;

    fn attempt_recv(&self) -> Option<Self::Output> {
        (**self).attempt_recv()
    }
}

impl<R: Recv + ?Sized> Recv for Rc<R> {
    type Output = R::Output;

    fn attempt_recv(&self) -> Option<Self::Output> {
        (**self).attempt_recv()
    }
}

impl<T: 'static> Recv for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        unless_empty(self.try_recv())
    }
}

impl<T: 'static, O: Order<T> + 'static> Recv for Queue<T, O> {
    type Output = Result<T, ShutDown>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        match self.try_get() {
            Ok(item) => Some(Ok(item)),
            Err(error) if error.is_empty() => None,
            Err(_) => Some(Err(ShutDown(()))),
        }
    }
}

impl<T: 'static> Recv for SimpleQueue<T> {
    type Output = T;

    fn attempt_recv(&self) -> Option<T> {
        self.try_get().ok()
    }
}

impl<T: 'static> Recv for Channel<T> {
    type Output = T;

    fn attempt_recv(&self) -> Option<T> {
        self.take_offer()
    }
}

impl<T: Clone + 'static> Recv for Greenlet<T> {
    type Output = Result<T, Failure>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        self.ready().then(|| self.get())
    }
}

impl<T: Clone + 'static> Recv for AsyncResult<T> {
    type Output = Result<T, Failure>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        self.ready().then(|| self.get())
    }
}

impl<K: Sharing> Recv for Semaphore<K> {
    type Output = ();

    fn attempt_recv(&self) -> Option<()> {
        self.try_acquire().then_some(())
    }
}

impl<K: Sharing> Recv for Event<K> {
    type Output = ();

    fn attempt_recv(&self) -> Option<()> {
        self.is_set().then_some(())
    }
}

impl<T: 'static> Recv for shared::channel::Receiver<T> {
    type Output = Result<T, RecvError>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        unless_empty(self.try_recv())
    }
}

impl<T: 'static> Recv for shared::oneshot::Receiver<T> {
    type Output = Result<T, RecvError>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        unless_empty(self.try_recv())
    }
}

impl Recv for TcpListener {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        self.try_accept().transpose()
    }
}

#[cfg(unix)]
impl Recv for crate::os::unix::net::UnixListener {
    type Output = io::Result<(crate::os::unix::net::UnixStream, crate::os::unix::net::SocketAddr)>;

    fn attempt_recv(&self) -> Option<Self::Output> {
        self.try_accept().transpose()
    }
}

/// The arm `recv(..)`.
pub struct RecvArm<'a, R: Recv + ?Sized>(&'a R);

/// Creates the arm `recv(..)`.
pub fn recv<R: Recv + ?Sized>(from: &R) -> RecvArm<'_, R> {
    RecvArm(from)
}

impl<R: Recv> Arm for RecvArm<'_, R> {
    type Output = R::Output;

    fn attempt(&mut self) -> Option<R::Output> {
        self.0.attempt_recv()
    }

    fn waitable(&self) -> &dyn Waitable {
        self.0
    }
}

/// The arm `send(..)`.
pub struct SendArm<'a, T: 'static> {
    sender: &'a Sender<T>,
    message: Option<T>,
}

/// Creates the arm `send(..)`.
pub fn send<T: 'static>(sender: &Sender<T>, message: T) -> SendArm<'_, T> {
    SendArm { sender, message: Some(message) }
}

impl<T: 'static> Arm for SendArm<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn attempt(&mut self) -> Option<Self::Output> {
        let sent = unless_full(self.sender.try_send(self.message.take()?), false, &mut self.message)?;
        Some(sent.map_err(|error| SendError(error.into_inner())))
    }

    fn waitable(&self) -> &dyn Waitable {
        self.sender
    }
}

/// The arm `ready(..)`, which waits for any waitable object and takes nothing.
pub struct ReadyArm<'a>(&'a dyn Waitable);

/// Creates the arm `ready(..)`.
pub fn ready(object: &dyn Waitable) -> ReadyArm<'_> {
    ReadyArm(object)
}

impl Arm for ReadyArm<'_> {
    type Output = ();

    fn attempt(&mut self) -> Option<()> {
        self.0.is_ready().then_some(())
    }

    fn waitable(&self) -> &dyn Waitable {
        self.0
    }
}

thread_local! {
    /// The start of the next round of attempts, as a fraction of the arms.
    static START: Cell<u64> = const { Cell::new(0) };
}

/// Returns the index of the arm to try first.
///
/// Successive starts advance by the golden ratio. This keeps the starts of one selection evenly
/// spread even if it gets only a part of them, for example every second one because two selections
/// alternate. A plain counter would then give it the same arm each time.
#[doc(hidden)]
pub fn start(arms: usize) -> usize {
    let start = START.get();
    START.set(start.wrapping_add(0x9E37_79B9_7F4A_7C15));
    ((u128::from(start) * arms as u128) >> 64) as usize
}

/// Waits until one of the objects is ready or the limit is reached. Returns `false` at the limit.
#[doc(hidden)]
pub fn wait_any(objects: &[&dyn Waitable], limit: Limit) -> bool {
    iwait(objects).timeout(limit).next().is_some()
}

/// Waits for the first of several operations and runs the code of its arm.
///
/// | arm | chosen when | gives |
/// |---|---|---|
/// | `recv(from) -> pattern => ...` | a value can be received from a channel, a queue, a greenlet, an [`AsyncResult`](crate::sync::AsyncResult), a [`TcpListener`](crate::net::TcpListener) or a `UnixListener`; a permit is free in a [`Semaphore`](crate::sync::Semaphore); an [`Event`](crate::sync::Event) is set | the result of the object's own method: a `Result` if that can fail |
/// | `send(sender, message) -> pattern => ...` | there is room | `Result<(), SendError<_>>` |
/// | `ready(object) => ...` | any waitable object is ready; nothing is taken | |
/// | `default(duration) => ...` | no other arm was ready for that long | |
/// | `default => ...` | no other arm is ready | |
///
/// There may be one `default`, which must be the last arm. [`ramie::select`](mod@crate::select)
/// describes the choice among several ready arms, and the effect of a kill or a timeout. The
/// message of a `send` arm that is not chosen is dropped.
///
/// A pattern must be irrefutable, like that of a `let`: a value that it did not match would be
/// lost.
///
/// ```compile_fail,E0004
/// # let (_sender, receiver) = ramie::channel::unbounded::<u32>();
/// ramie::select! {
///     recv(receiver) -> Ok(number) => number,
///     default => 0,
/// };
/// ```
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{channel, select, spawn};
///
/// let (numbers, number) = channel::unbounded();
/// let (_words, word) = channel::unbounded::<String>();
/// spawn(move || numbers.send(5));
/// let got = select! {
///     recv(number) -> n => n.unwrap().to_string(),
///     recv(word) -> w => w.unwrap(),
///     default(Duration::from_secs(10)) => "nothing".to_owned(),
/// };
/// assert_eq!(got, "5");
/// ```
#[macro_export]
macro_rules! select {
    (@collect [$($arms:tt)*] recv($from:expr) -> $pattern:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::select!(@collect [$($arms)* {($crate::select::recv(&$from)) ($pattern) ($body)}] $($($rest)*)?)
    };
    (@collect [$($arms:tt)*] send($sender:expr, $message:expr) -> $pattern:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::select!(@collect [$($arms)* {($crate::select::send(&$sender, $message)) ($pattern) ($body)}] $($($rest)*)?)
    };
    (@collect [$($arms:tt)*] ready($object:expr) => $body:expr $(, $($rest:tt)*)?) => {
        $crate::select!(@collect [$($arms)* {($crate::select::ready(&$object)) (()) ($body)}] $($($rest)*)?)
    };
    (@collect [$($arms:tt)*] default($after:expr) => $body:expr $(,)?) => {
        $crate::select!(@bind ($crate::select::Limit::After($after).fixed()) (true) ($body) [] [$($arms)*])
    };
    (@collect [$($arms:tt)*] default => $body:expr $(,)?) => {
        $crate::select!(@bind ($crate::select::Limit::Never) (false) ($body) [] [$($arms)*])
    };
    (@collect [$($arms:tt)*]) => {
        $crate::select!(@bind ($crate::select::Limit::Never) (true)
            (::std::unreachable!("a selection without a limit must end with an arm")) [] [$($arms)*])
    };
    (@bind ($limit:expr) ($waits:expr) ($default:expr) [$($done:tt)*] [{($arm:expr) ($pattern:pat) ($body:expr)} $($rest:tt)*]) => {{
        let mut arm = $arm;
        let mut slot = ::std::option::Option::None;
        $crate::select!(@bind ($limit) ($waits) ($default) [$($done)* {arm slot ($pattern) ($body)}] [$($rest)*])
    }};
    (@bind ($limit:expr) ($waits:expr) ($default:expr) [$({$arm:ident $slot:ident ($pattern:pat) ($body:expr)})+] []) => {{
        use $crate::select::Arm as _;
        let limit: $crate::select::Limit = $limit;
        let arms = [$(::std::stringify!($arm)),+].len();
        let mut last_round = false;
        'chosen: loop {
            let start = $crate::select::start(arms);
            for turn in 0..arms {
                let chosen = (start + turn) % arms;
                let mut index = 0;
                $(
                    if index == chosen {
                        $slot = $arm.attempt();
                        if $slot.is_some() {
                            break 'chosen;
                        }
                    }
                    index += 1;
                )+
                let _ = index;
            }
            if last_round || !$waits {
                break;
            }
            last_round = !$crate::select::wait_any(&[$($arm.waitable()),+], limit);
        }
        $(if let ::std::option::Option::Some(chosen) = $slot { match chosen { $pattern => $body } } else)+ {
            match () { () => $default }
        }
    }};
    (@collect $($other:tt)*) => {
        ::std::compile_error!("an arm must be recv(..) -> p => e, send(.., ..) -> p => e, ready(..) => e, default(..) => e or default => e")
    };
    ($($arms:tt)+) => {
        $crate::select!(@collect [] $($arms)+)
    };
}

impl<R: Recv + ?Sized> fmt::Debug for RecvArm<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecvArm(..)")
    }
}

impl<T> fmt::Debug for SendArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendArm(..)")
    }
}

impl fmt::Debug for ReadyArm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadyArm(..)")
    }
}
