//! Greenlets and work that borrow from the frame of their caller.
//!
//! [`scope`](crate::scope()) and [`lend`](crate::lend) are the two places where the bound `'static`
//! is lifted: code that runs elsewhere may borrow from the frame of a caller that waits for it.
//! Each erases one lifetime, in one `transmute`. That is sound if the call is not left, by return
//! or by unwinding, while other code may still access the borrowed values:
//!
//! 1. *No other way out.* A `FrameGuard` is made before anything is lent, by a call that is refused
//!    in the hub. From then on only `FrameGuard::release` leaves the frame; the `FrameGuard`'s
//!    destructor ends the process. The user holds no part of it to forget or swap. An abandoned
//!    greenlet never leaves the frame: its stack is leaked and never resumed.
//! 2. *The wait is not interrupted.* During it the task is `shielded`: `Core::throw`,
//!    `deliver_urgent` and `interrupt_main` defer their exceptions and only wake the task; `park`
//!    raises nothing. A scope can thus pass the first one on to its children. As with any deferred
//!    interrupt, a timeout closed by then is void; later ones are raised at later waits. If nothing
//!    can run any more, the children are killed with the `LoopExit`. If that ends none of them, the
//!    frame can be neither waited in nor left, and the process is aborted with their names.
//! 3. *Ended means ended.* A `Lent` drops its work before its waker wakes, run or not, and the
//!    mailbox orders the first before the second. For children the hub itself calls `Core::gone`
//!    when it has reaped or discarded them. `ready` is too early: greenlet-locals are dropped on
//!    the fiber after it, and may wait. So is `dead`: the closure of a child that is killed unrun
//!    is still being dropped, perhaps in a third greenlet that waits in a destructor of it. A link
//!    may be removed by any holder (`unlink_all`). When a child is gone, its fiber has returned or
//!    never existed and its closure has been consumed, so no reference into the frame is an
//!    argument of a call that still runs.
//! 4. *Nothing remains.* A handle may keep a record beyond the scope. The record holds no closure
//!    and no value. The list of children owns the closure; the record holds an `Errand`, which asks
//!    the list for the closure when it is run or dropped, and gets nothing in a later hub of the
//!    thread. The value is shared by the closure and the `ScopedGreenlet`, whose type keeps it in
//!    the scope. A child is listed before any user code can see it (`Builder::prepare`, spawn
//!    callbacks), and the list holds its record until it is gone. Code that makes a child and fails
//!    before starting it ends the child.
//! 5. *The hub is not gone.* It ends only with its thread, where main has no frame. (Without an
//!    `ExitList` it also ends in the destructor of a thread-local, after a wait. While a frame of
//!    main is lent (`Core::lent`), that end is deferred until the frame is settled, and between two
//!    waits of one destructor no other thread-local is destroyed.) The greenlets of a scope are on
//!    its thread, as `Scope` is not `Sync`.
//! 6. *The thread is not gone.* A greenlet may lend a borrow of a thread-local and be abandoned.
//!    Children are abandoned with it, but lent work continues elsewhere. Each piece of work
//!    therefore has a `Lease`, which the end of the hub closes: work that comes later is refused,
//!    and leaked. Work that another thread has begun may borrow from the stack of its greenlet,
//!    which is leaked; from a frame of main, which is not left (a scope in main waits for the
//!    greenlet, and `std::process::exit` returns to no frame); or from a thread-local. `Send` does
//!    not exclude the last: a reference to a `Sync` value may be sent, and so may the `&mut` of a
//!    `RefCell`. The cases cannot be told apart, so the remaining thread-locals are leaked, or
//!    where that is impossible, the end of the thread waits for the work.

pub(crate) mod frame_guard;
pub(crate) mod lend;
pub(crate) mod scope;
pub(crate) mod scope_children;
