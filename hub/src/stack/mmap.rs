//! What the stack room asks of the system: reserve pages, guard some, hand some back.
//!
//! Addresses are plain integers here and above. The mapping's pointer is exposed once, in [`reserve`], so that
//! whoever needs a pointer into it later can make one from an address.

#![expect(unsafe_code, reason = "mapping, guarding and discarding pages are calls of the C library")]

use std::io;
use std::ptr;
use std::sync::OnceLock;

/// Reserved only, without a promise that memory exists for it, on systems that know the difference.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "netbsd"))]
const NORESERVE: libc::c_int = libc::MAP_NORESERVE;
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "netbsd")))]
const NORESERVE: libc::c_int = 0;

/// OpenBSD kills a process whose stack pointer is in memory without this mark; FreeBSD means something else by it.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
const FOR_STACK: libc::c_int = libc::MAP_STACK;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "netbsd", target_os = "openbsd")))]
const FOR_STACK: libc::c_int = 0;

/// Linux takes the pages at once. Elsewhere `MADV_DONTNEED` is a mere hint, and `MADV_FREE` gives pages to whoever
/// runs short of them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const DISCARD: libc::c_int = libc::MADV_DONTNEED;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const DISCARD: libc::c_int = libc::MADV_FREE;

/// Where transparent huge pages exist, one touched byte may cost 2 MiB.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_HUGE_PAGES: Option<libc::c_int> = Some(libc::MADV_NOHUGEPAGE);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NO_HUGE_PAGES: Option<libc::c_int> = None;

/// `MADV_GUARD_INSTALL` of Linux 6.13: a guard inside a mapping, which it does not split.
#[cfg(any(target_os = "linux", target_os = "android"))]
const GUARD_INSTALL: Option<libc::c_int> = Some(102);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const GUARD_INSTALL: Option<libc::c_int> = None;

/// Returns the size of a page.
pub(super) fn page_size() -> usize {
    static PAGE_SIZE: OnceLock<usize> = OnceLock::new();
    *PAGE_SIZE.get_or_init(|| {
        // SAFETY: sysconf takes no pointer and may be called at any time.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size)
            .ok()
            .filter(|size| size.is_power_of_two())
            .expect("every system has a page size")
    })
}

/// Reserves `len` bytes of zeroes, readable and writable, and returns where they start.
pub(super) fn reserve(len: usize) -> io::Result<usize> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | NORESERVE | FOR_STACK;
    // SAFETY: an anonymous mapping at an address of the system's choice touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    if let Some(advice) = NO_HUGE_PAGES {
        // A kernel without huge pages refuses the advice, and does not need it.
        // SAFETY: the range was mapped just now, and this advice changes no content.
        unsafe { libc::madvise(start, len, advice) };
    }
    Ok(start.expose_provenance())
}

/// Unmaps `len` bytes at `start`.
///
/// # Safety
///
/// The range was returned by [`reserve`] as a whole, and nothing refers to it any more.
pub(super) unsafe fn unmap(start: usize, len: usize) {
    let range = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the caller promises that the range is a mapping of ours that nobody uses.
    let unmapped = unsafe { libc::munmap(range, len) };
    if unmapped != 0 {
        // Out of mappings: this one had been merged with its neighbours and cannot be cut out. Its address range
        // stays taken, its memory goes.
        // SAFETY: the range is still mapped, and the caller promises that nobody uses its content.
        unsafe { discard(start, len) };
    }
}

/// Gives the memory behind a range back to the system. The range stays usable; what was in it may be lost.
///
/// # Safety
///
/// The range lies in a mapping made by [`reserve`], starts and ends at a page, and nobody needs its content.
pub(super) unsafe fn discard(start: usize, len: usize) {
    // A refusal leaves everything as it was, which is all right too.
    // SAFETY: the caller promises that the range is ours and that its content is not needed.
    unsafe { libc::madvise(ptr::with_exposed_provenance_mut(start), len, DISCARD) };
}

/// Makes every access to a range fault, for as long as the range is mapped.
///
/// # Errors
///
/// The system's error when it refuses. Then the range is as it was: there is no guard.
///
/// # Safety
///
/// The range lies in a mapping made by [`reserve`], starts and ends at a page, and nobody uses it.
pub(super) unsafe fn guard(start: usize, len: usize) -> io::Result<()> {
    let range = ptr::with_exposed_provenance_mut(start);
    if let Some(advice) = GUARD_INSTALL.filter(|_| guards_by_advice()) {
        // Memory that has been locked since the trial refuses this kind of guard; then the other kind will do.
        // SAFETY: the caller promises that the range is ours and unused.
        if unsafe { libc::madvise(range, len, advice) } == 0 {
            return Ok(());
        }
    }
    // SAFETY: the caller promises that the range is ours and unused.
    if unsafe { libc::mprotect(range, len, libc::PROT_NONE) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Finds out, once in a process, whether [`GUARD_INSTALL`] puts up a guard.
///
/// The kernel's version does not tell: memory may be locked, a sandbox may object, and qemu's user emulation
/// answers "done" to advice that it does not know. So this guards a page and asks the system to write to it.
pub(super) fn guards_by_advice() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let len = page_size();
        let Some(advice) = GUARD_INSTALL else { return false };
        let Ok(start) = reserve(len) else { return false };
        // SAFETY: the page was reserved just now and is empty.
        let accepted = unsafe { libc::madvise(ptr::with_exposed_provenance_mut(start), len, advice) } == 0;
        let works = accepted && !writable(start);
        // SAFETY: this function reserved the page and kept it to itself.
        unsafe { unmap(start, len) };
        works
    })
}

/// Asks the system to write a byte to `page`, a page of ours that is empty or guarded.
///
/// Any answer but `EFAULT` counts as writable: one that says nothing must not pass for a working guard. The call is
/// one that valgrind passes on without touching the memory itself, as it would a path, and dying of the guard.
fn writable(page: usize) -> bool {
    let (asked, answer) = (ptr::with_exposed_provenance_mut::<libc::c_char>(page), page);
    // SAFETY: it is asked whether the page is in memory, which needs no access to it. The one byte of the answer goes
    // to the same page, which the caller says is free to be written; the kernel checks the address and reports a bad one.
    let result = unsafe { libc::mincore(asked.cast(), 1, ptr::with_exposed_provenance_mut(answer)) };
    !(result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT))
}
