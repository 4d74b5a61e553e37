//! The C library's list of functions to call at the end of a thread.
//!
//! On Linux with glibc, std registers the destructor of each `thread_local!` by itself, with
//! `__cxa_thread_atexit_impl`, when the value is used for the first time. The list is per thread,
//! is run from the newest entry to the oldest, and is run before everything else that glibc does at
//! the end of a thread or in `exit`. So a hook that is the newest entry runs while every
//! thread-local that was used before is alive.
//!
//! glibc never removes an entry from the list before the end. A hook at every wait would therefore
//! need memory without limit. The thread must know whether its hook is still the newest entry,
//! which no function reports. The head of the list is a variable of glibc in the memory of the
//! thread; [`find`] searches for it once in a process, and every thread checks it with an entry of
//! its own before it relies on it. Where the check fails there is no [`ExitList`], and the
//! sentinels of `thread_exit.rs` are used instead.
//!
//! Emptying the list leaks the thread-locals that it would have destroyed. This is the only option
//! when a greenlet or another thread may still be using one of them.

#![expect(unsafe_code, reason = "reads and empties the C library's list of destructors")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::current;

type Destructor = unsafe extern "C" fn(*mut c_void);
type Register = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;

/// An entry of the list, in the layout of glibc since 2.18: four words.
#[repr(C)]
struct Entry {
    _destructor: usize,
    object: usize,
    _module: usize,
    next: usize,
}

/// The properties of glibc in this process.
#[derive(Clone, Copy)]
struct Known {
    register: Register,
    /// The distance from `pthread_self` to the head of the list: the same for each thread, since
    /// glibc is loaded before there are any.
    head: isize,
}

/// The list of this thread.
pub(crate) struct ExitList {
    head: NonNull<usize>,
    /// The hook that was registered last.
    hook: Cell<usize>,
    register: Register,
}

impl ExitList {
    /// Returns the list of this thread, with a hook at its head; `None` where the list cannot be
    /// relied on.
    pub(crate) fn hooked() -> Option<ExitList> {
        static KNOWN: OnceLock<Option<Known>> = OnceLock::new();
        let known = (*KNOWN.get_or_init(find))?;
        let head = NonNull::new(this_thread().wrapping_byte_offset(known.head))?;
        let list = ExitList { head, hook: Cell::new(0), register: known.register };
        let before = list.newest();
        let object = list.hook();
        is_entry(list.newest(), before, object).then_some(list)
    }

    /// Returns `true` if this is the first thread of the process, with which the process ends.
    pub(crate) fn is_of_first_thread() -> bool {
        // SAFETY: this system call takes nothing and changes nothing. (Its wrapper is newer than
        // glibc 2.18.)
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        // SAFETY: the call has no conditions.
        let process = unsafe { libc::getpid() };
        thread == libc::c_long::from(process)
    }

    #[inline(always)]
    fn newest(&self) -> usize {
        // SAFETY: the head was found in this thread's block of the memory that glibc keeps for
        // every thread. It stays there as long as the thread exists, and an `ExitList` does not
        // leave its thread. It is an aligned word. Only this thread writes to it, inside calls of
        // the C library, so not while it is read here.
        unsafe { self.head.as_ptr().read_volatile() }
    }

    /// Returns `true` if nothing was registered since the last hook.
    #[inline(always)]
    pub(crate) fn is_hooked(&self) -> bool {
        self.newest() == self.hook.get()
    }

    /// Registers a hook: at the end of the thread it runs before everything that was registered so
    /// far. Returns the number that it was registered with.
    #[cold]
    pub(crate) fn hook(&self) -> usize {
        let object = add_hook(self.register);
        self.hook.set(self.newest());
        object
    }

    /// Empties the list: its entries never run, and the thread-locals that they would have
    /// destroyed are leaked.
    pub(crate) fn clear(&self) {
        // SAFETY: as in `newest`. An empty list has a null head. glibc reads the head again after
        // each destructor, and an entry that is not reached is only not freed. (Its module is never
        // unloaded, which is right, since its thread-locals stay alive.)
        unsafe { self.head.as_ptr().write_volatile(0) };
        self.hook.set(0);
    }
}

/// The hook, which runs first when the thread ends.
extern "C" fn at_exit(_: *mut c_void) {
    current::thread_ends();
}

/// Registers a hook with a unique number, and returns the number.
fn add_hook(register: Register) -> usize {
    static NUMBER: AtomicUsize = AtomicUsize::new(0x5eed_0001);
    static HERE: u8 = 0;
    let number = NUMBER.fetch_add(2, Ordering::Relaxed);
    let object = ptr::without_provenance_mut(number);
    // SAFETY: this is glibc's function (see `find`), which takes a function, its argument, and any
    // address in the module that must stay loaded until then. The function may be called with any
    // argument, at any time, on this thread.
    unsafe { register(at_exit, object, (&raw const HERE).cast_mut().cast()) };
    number
}

/// Returns the address by which glibc identifies this thread, which has the same distance to the
/// head of the list in each thread.
fn this_thread() -> *mut usize {
    // SAFETY: the call has no conditions.
    let thread = unsafe { libc::pthread_self() };
    ptr::with_exposed_provenance_mut(thread as usize)
}

/// Returns `true` if `address`, which was just written to the possible head of the list, is an
/// entry with that object, and the entry before it is `next`.
fn is_entry(address: usize, next: usize, object: usize) -> bool {
    if address == 0 || address == next || address % align_of::<Entry>() != 0 {
        return false;
    }
    let entry = ptr::with_exposed_provenance::<Entry>(address);
    // SAFETY: `address` is the value of a variable of glibc that each registration of this thread
    // has changed to another aligned value. Only the head of the list is such a variable, and its
    // entry lives until it has run. Read without a reference.
    let entry = unsafe { entry.read_volatile() };
    entry.object == object && entry.next == next
}

/// The memory that glibc keeps for the calling thread: its address, and its number of words.
struct Block {
    within: usize,
    start: *const usize,
    words: usize,
}

/// Searches for the head of the list: the one word of glibc's memory for this thread that a
/// registration changes to an entry that names the previous one.
fn find() -> Option<Known> {
    // SAFETY: the name is a C string, and the default search order needs no handle.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_thread_atexit_impl".as_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the C++ ABI gives the function of this name this type.
    let register = unsafe { std::mem::transmute::<*mut c_void, Register>(found) };
    let mut block = Block { within: found.addr(), start: ptr::null(), words: 0 };
    // SAFETY: the callback has the required type, does not unwind, and gets the pointer to a
    // `Block` that outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(find_block), (&raw mut block).cast()) };
    if block.start.is_null() {
        return None;
    }
    let before = block.read();
    add_hook(register);
    let first = block.read();
    let object = add_hook(register);
    let second = block.read();
    let mut changed =
        (0..block.words).filter(|&at| before[at] != first[at] && first[at] != second[at] && first[at] != 0);
    let at = changed.next()?;
    if changed.next().is_some() || !is_entry(second[at], first[at], object) {
        return None;
    }
    let head = block.start.wrapping_add(at).expose_provenance();
    Some(Known { register, head: head.wrapping_sub(this_thread().addr()) as isize })
}

impl Block {
    fn read(&self) -> Vec<usize> {
        // SAFETY: the loader has reported that this thread has that many words there. Only this
        // thread writes to them.
        (0..self.words).map(|at| unsafe { self.start.wrapping_add(at).read_volatile() }).collect()
    }
}

/// Records the block of the module that contains the function.
///
/// # Safety
///
/// Must be called by `dl_iterate_phdr`, with a pointer to a [`Block`] that no other code uses.
unsafe extern "C" fn find_block(info: *mut libc::dl_phdr_info, _size: usize, block: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` passes its argument on, which is `find`'s block, and no other code
    // uses the block during the call.
    let block = unsafe { &mut *block.cast::<Block>() };
    // SAFETY: the argument is the description of a module, which is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: the description has the address and the number of the module's program headers.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let holds = |header: &libc::Elf64_Phdr| {
        let start = info.dlpi_addr.wrapping_add(header.p_vaddr) as usize;
        header.p_type == libc::PT_LOAD && (start..start + header.p_memsz as usize).contains(&block.within)
    };
    if !headers.iter().any(holds) {
        return 0;
    }
    let own = headers.iter().find(|header| header.p_type == libc::PT_TLS);
    if let Some(own) = own.filter(|_| info.dlpi_tls_data.addr() % align_of::<usize>() == 0) {
        block.start = info.dlpi_tls_data.cast();
        block.words = own.p_memsz as usize / size_of::<usize>();
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_finds_its_list() {
        for _ in 0..2 {
            std::thread::spawn(|| {
                struct Late;
                impl Drop for Late {
                    fn drop(&mut self) {}
                }
                thread_local!(static LATE: Late = const { Late });
                let list = ExitList::hooked().expect("this is glibc");
                assert!(list.is_hooked());
                LATE.with(|_| ());
                assert!(!list.is_hooked());
                list.hook();
                assert!(list.is_hooked());
            })
            .join()
            .expect("the thread does not panic");
        }
    }

    #[test]
    fn a_cleared_list_destroys_nothing() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        struct Counted;
        impl Drop for Counted {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        thread_local! {
            static OLDER: Counted = const { Counted };
            static YOUNGER: Counted = const { Counted };
        }
        std::thread::spawn(|| {
            OLDER.with(|_| ());
            ExitList::hooked().expect("this is glibc").clear();
            YOUNGER.with(|_| ());
        })
        .join()
        .expect("the thread does not panic");
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    }
}
