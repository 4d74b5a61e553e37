//! The system calls for stack memory: reserving pages, guarding pages, discarding pages.
//!
//! Addresses are plain integers here and above. The mapping's pointer is exposed once, in
//! [`reserve`], so that code that needs a pointer into it later can make one from an address.

#![expect(unsafe_code, reason = "mapping, guarding and discarding pages are calls of the C library")]

use std::io;
use std::ptr;
use std::sync::OnceLock;

/// Reserves only, without a promise that memory exists for the range, on systems that make the
/// distinction.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "netbsd"))]
const NORESERVE: libc::c_int = libc::MAP_NORESERVE;
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "netbsd")))]
const NORESERVE: libc::c_int = 0;

/// OpenBSD kills a process with a stack pointer in memory without this mark; on FreeBSD the flag
/// has another meaning.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
const FOR_STACK: libc::c_int = libc::MAP_STACK;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "netbsd", target_os = "openbsd")))]
const FOR_STACK: libc::c_int = 0;

/// Linux takes the pages at once. Elsewhere `MADV_DONTNEED` is only a hint, and `MADV_FREE` lets
/// the system take pages when memory runs short.
#[cfg(any(target_os = "linux", target_os = "android"))]
const DISCARD: libc::c_int = libc::MADV_DONTNEED;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const DISCARD: libc::c_int = libc::MADV_FREE;

/// Without this, one touched byte may cost 2 MiB where transparent huge pages exist.
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

/// Reserves `len` bytes of zeroes, readable and writable, and returns their start address.
pub(super) fn reserve(len: usize) -> io::Result<usize> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | NORESERVE | FOR_STACK;
    // SAFETY: an anonymous mapping at an address of the system's choice touches nothing that
    // exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    if let Some(advice) = NO_HUGE_PAGES {
        // A kernel without huge pages rejects the advice, and does not need it.
        // SAFETY: the range was mapped just now, and this advice changes no content.
        unsafe { libc::madvise(start, len, advice) };
    }
    Ok(start.expose_provenance())
}

/// Unmaps `len` bytes at `start`.
///
/// # Safety
///
/// The range must have been returned by [`reserve`] as a whole, and nothing may refer to it any
/// more.
pub(super) unsafe fn unmap(start: usize, len: usize) {
    let range = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the caller promises that the range is an unused mapping of ours.
    let unmapped = unsafe { libc::munmap(range, len) };
    if unmapped != 0 {
        // The process is out of mappings: this mapping had been merged with its neighbours and
        // cannot be cut out. Its address range stays taken, and its memory is discarded.
        // SAFETY: the range is still mapped, and the caller promises that its content is not used.
        unsafe { discard(start, len) };
    }
}

/// Returns the memory behind a range to the system. The range stays usable; its content may be
/// lost.
///
/// # Safety
///
/// The range must lie in a mapping made by [`reserve`] and start and end at a page, and its content
/// must not be needed.
pub(super) unsafe fn discard(start: usize, len: usize) {
    // A refusal leaves everything as it was, which is acceptable.
    // SAFETY: the caller promises that the range is ours and that its content is not needed.
    unsafe { libc::madvise(ptr::with_exposed_provenance_mut(start), len, DISCARD) };
}

/// Makes every access to a range fault, for as long as the range is mapped.
///
/// # Errors
///
/// The system's error when it refuses. The range is then unchanged: there is no guard.
///
/// # Safety
///
/// The range must lie in a mapping made by [`reserve`] and start and end at a page, and must not be
/// in use.
pub(super) unsafe fn guard(start: usize, len: usize) -> io::Result<()> {
    let range = ptr::with_exposed_provenance_mut(start);
    if let Some(advice) = GUARD_INSTALL.filter(|_| guards_by_advice()) {
        // Memory that has been locked since the trial rejects this kind of guard; the other kind is
        // used then.
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

/// Tests, once in a process, whether [`GUARD_INSTALL`] installs a guard.
///
/// The kernel's version is not sufficient: memory may be locked, a sandbox may reject the call, and
/// qemu's user emulation reports success for advice that it does not know. So this guards a page
/// and asks the system to write to it.
pub(super) fn guards_by_advice() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let len = page_size();
        let Some(advice) = GUARD_INSTALL else { return false };
        let Ok(start) = reserve(len) else { return false };
        // SAFETY: the page was reserved just now and is empty.
        let accepted = unsafe { libc::madvise(ptr::with_exposed_provenance_mut(start), len, advice) } == 0;
        let works = accepted && !writable(start);
        // SAFETY: this function reserved the page and has not shared it.
        unsafe { unmap(start, len) };
        works
    })
}

/// Asks the system to write a byte to `page`, a page of ours that is empty or guarded.
///
/// Any result except `EFAULT` counts as writable: an inconclusive result must not pass for a
/// working guard. valgrind passes this call on without touching the memory itself; it would touch a
/// path argument, and die of the guard.
fn writable(page: usize) -> bool {
    let (asked, answer) = (ptr::with_exposed_provenance_mut::<libc::c_char>(page), page);
    // SAFETY: the call reports whether the page is in memory, which needs no access to it. The one
    // byte of the result goes to the same page, which the caller declares free to be written; the
    // kernel checks the address and reports a bad one.
    let result = unsafe { libc::mincore(asked.cast(), 1, ptr::with_exposed_provenance_mut(answer)) };
    !(result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT))
}
