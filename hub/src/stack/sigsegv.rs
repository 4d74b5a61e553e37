//! The handler for `SIGSEGV` and `SIGBUS` that reports a stack overflow, and a stack for the
//! handler to run on.
//!
//! Linux reports a hit guard as `SIGSEGV`, macOS as `SIGBUS`. Everything that the handler calls is
//! safe in a signal handler: it formats into a buffer of its own, writes once, and aborts. It takes
//! no lock and allocates nothing.

#![expect(unsafe_code, reason = "signal handlers and their stacks are installed by calls of the C library")]

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Once, OnceLock};

use super::overflow;

const MESSAGE_LEN: usize = 1024;
const MIN_ALT_STACK_SIZE: usize = 64 * 1024;

/// The previous action. Set before our handler is installed, so that the handler finds it.
static PREVIOUS_SEGV: OnceLock<libc::sigaction> = OnceLock::new();
static PREVIOUS_BUS: OnceLock<libc::sigaction> = OnceLock::new();

fn previous(signal: libc::c_int) -> &'static OnceLock<libc::sigaction> {
    if signal == libc::SIGBUS { &PREVIOUS_BUS } else { &PREVIOUS_SEGV }
}

/// Installs the handler, once in a process. The previous handler is called for faults that are not
/// ours.
///
/// A handler that is installed later decides whether this one still gets a fault.
pub(crate) fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            install_for(signal);
        }
    });
}

fn install_for(signal: libc::c_int) {
    let mut old = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new action is given; the current one is written to `old`, which is large enough.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) };
    if asked != 0 {
        return;
    }
    // SAFETY: the call has succeeded, and so has filled it.
    let old = unsafe { old.assume_init() };
    previous(signal).get_or_init(|| old);

    let mut new = old;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
    new.sa_sigaction = handler as libc::sighandler_t;
    // SAFETY: `sa_mask` is a signal set of our own.
    unsafe { libc::sigemptyset(&raw mut new.sa_mask) };
    // SAFETY: `new` requests SA_SIGINFO and names a function of that shape, which is safe in a
    // signal handler. The old action is already stored where the handler looks for it.
    unsafe { libc::sigaction(signal, &raw const new, ptr::null_mut()) };
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes a valid siginfo to a handler with SA_SIGINFO, until the handler
    // returns.
    let fault = unsafe { &*info };
    // A signal sent by kill(2) has no address: its codes are not positive.
    let from_fault = fault.si_code > 0;
    if from_fault {
        // SAFETY: for these two signals the siginfo of a fault has an address.
        let address = unsafe { fault.si_addr() }.addr();
        if let Some(greenlet) = overflow::running().filter(|greenlet| greenlet.guards(address)) {
            die(greenlet);
        }
    }
    pass_on(signal, info, context, from_fault);
}

fn die(greenlet: &overflow::OverflowInfo) -> ! {
    let mut message = [0; MESSAGE_LEN];
    let len = greenlet.describe(&mut message);
    // A write that fails cannot be handled.
    // SAFETY: the buffer has at least `len` bytes, and write is safe in a signal handler.
    unsafe { libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), len) };
    // SAFETY: abort is safe in a signal handler and does not return.
    unsafe { libc::abort() }
}

/// Passes the signal to the previous handler, or lets the default action happen.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void, from_fault: bool) {
    let Some(old) = previous(signal).get() else { return };
    match old.sa_sigaction {
        libc::SIG_IGN if !from_fault => {}
        // A fault cannot be ignored: it would happen again at once.
        libc::SIG_DFL | libc::SIG_IGN => {
            restore_default(signal);
            if !from_fault {
                // The signal stays pending until this handler returns, and then takes the default
                // action.
                // SAFETY: raise is safe in a signal handler.
                unsafe { libc::raise(signal) };
            }
            // The faulting instruction runs again when the handler returns, and faults again.
        }
        handler if old.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: an action with SA_SIGINFO that is neither of the two constants is a function
            // of this shape.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Handler>(handler) };
            // SAFETY: the system would have made the same call with the same arguments.
            unsafe { handler(signal, info, context) };
        }
        handler => {
            type Handler = unsafe extern "C" fn(libc::c_int);
            // SAFETY: an action without SA_SIGINFO that is neither of the two constants is a
            // function of this shape.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Handler>(handler) };
            // SAFETY: the system would have made the same call with the same argument.
            unsafe { handler(signal) };
        }
    }
}

fn restore_default(signal: libc::c_int) {
    // SAFETY: zeroes are a valid sigaction: no flags, an empty mask, and SIG_DFL, which is zero on
    // every system.
    let mut default = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    default.sa_sigaction = libc::SIG_DFL;
    // SAFETY: sigaction is safe in a signal handler, and the default action requires nothing of us.
    unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
}

/// A stack for signal handlers that was installed for this thread. Dropping it uninstalls it.
///
/// The value must be dropped on its own thread, which the type ensures by being `!Send`.
#[derive(Debug)]
pub(crate) struct AltStack {
    start: *mut libc::c_void,
    len: usize,
    not_send: PhantomData<*mut ()>,
}

/// Installs a stack for signal handlers if this thread has none. Without one, a handler would run
/// on the stack that has overflowed, and fault as well.
///
/// std provides one for the main thread and for the threads it spawns; threads created by C code
/// have none. Returns `None` when there is one already, and when there is no memory for one: then
/// an overflow dies without a message.
pub(crate) fn ensure_alt_stack() -> Option<AltStack> {
    let mut current = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: no new stack is given; the current one is written to `current`, which is large
    // enough.
    if unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has succeeded, and so has filled it.
    let current = unsafe { current.assume_init() };
    if current.ss_flags & libc::SS_DISABLE == 0 {
        return None;
    }

    let page = page_size();
    let size = MIN_ALT_STACK_SIZE.max(2 * signal_frame_size()).next_multiple_of(page);
    let len = size + page;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: an anonymous mapping at an address of the system's choice touches nothing that
    // exists.
    let start =
        unsafe { libc::mmap(ptr::null_mut(), len, access, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let stack = AltStack { start, len, not_send: PhantomData };
    // SAFETY: the mapping is ours, and its first page is used for nothing else.
    if unsafe { libc::mprotect(start, page, libc::PROT_NONE) } != 0 {
        return None;
    }
    let new = libc::stack_t { ss_sp: start.wrapping_byte_add(page), ss_flags: 0, ss_size: size };
    // SAFETY: the range is mapped and stays mapped until `stack` is dropped, which uninstalls it
    // first.
    if unsafe { libc::sigaltstack(&raw const new, ptr::null_mut()) } != 0 {
        return None;
    }
    Some(stack)
}

impl Drop for AltStack {
    fn drop(&mut self) {
        let ours = self.start.addr()..self.start.addr() + self.len;
        let mut current = MaybeUninit::<libc::stack_t>::uninit();
        // SAFETY: no new stack is given; the current one is written to `current`, which is large
        // enough.
        if unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) } != 0 {
            return;
        }
        // SAFETY: the call has succeeded, and so has filled it.
        let current = unsafe { current.assume_init() };
        // Another stack may have been installed since; it stays.
        if current.ss_flags & libc::SS_DISABLE == 0 && ours.contains(&current.ss_sp.addr()) {
            // macOS requires a size even here.
            let none =
                libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: libc::SIGSTKSZ };
            // SAFETY: disabling takes no memory. The call is refused while a handler runs on the
            // stack, which is leaked then.
            if unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) } != 0 {
                return;
            }
        }
        // SAFETY: the mapping was made for this value, and the thread does not use it any more.
        unsafe { libc::munmap(self.start, self.len) };
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf takes no pointer and may be called at any time.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("every system has a page size")
}

/// Returns the space that the system needs to start a handler, if the system reports it: vector
/// registers have outgrown the constants.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn signal_frame_size() -> usize {
    const AT_MINSIGSTKSZ: libc::c_ulong = 51;
    // SAFETY: getauxval takes no pointer; for an entry that the kernel does not have it returns 0.
    let size = unsafe { libc::getauxval(AT_MINSIGSTKSZ) };
    usize::try_from(size).unwrap_or(0)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn signal_frame_size() -> usize {
    libc::SIGSTKSZ
}
