//! The switch on AArch64 Unix. `native` has the general explanation.
//!
//! * **x19 and x29** are saved by hand: LLVM reserves both and accepts neither as an operand of an
//!   asm block.
//! * **d8 to d15**: the compiler saves the ones in use, since all vector registers are declared as
//!   overwritten.
//! * **x18** belongs to the system on some systems and is never touched; on the others it is
//!   declared as overwritten.
//! * **FPCR** is not touched: it belongs to the thread, like the control words on x86-64, for the
//!   same reasons.
//! * **BTI**: every jump uses x16. The first jump into a fiber lands at a function, which has the
//!   landing pad `bti c` or `paciasp`: these accept a call, and a jump by x16 or x17, and no other
//!   jump. A later jump lands inside the block of `switch`, at `bti j`, which accepts every jump.
//!   `bti c` there would suffice for x16 too, but would also allow a call into the middle of a
//!   function. Older processors treat each landing pad as a hint and skip it. **PAC**: a signed
//!   return address stays valid, because a frame is always left with the stack pointer that it was
//!   entered with. With a *guarded control stack* enabled no fiber here can work, as with a shadow
//!   stack on x86-64.

#![expect(unsafe_code, reason = "switches stacks")]

use std::arch::asm;

use super::Context;

/// The size of the return address that a call leaves on the stack: zero, since the return address
/// is in x30.
pub(super) const RETURN_ADDRESS: usize = 0;

/// Continues at `to`, and stores in `from` where this side continues. Returns when other code
/// continues at `from`.
///
/// # Safety
///
/// `to` must be another context than `from`. It must hold where the code of another stack stopped,
/// or the entry of a fresh fiber. Neither may be accessed by other code during the switch.
#[inline(always)]
pub(super) unsafe fn switch(from: *mut Context, to: *mut Context) {
    // The zero in x30 is the return address of a fiber's first function, which ends every
    // backtrace. x0 is its argument.
    // SAFETY: the registers of the other side are loaded and its code continues as after a call.
    // When this side is continued, the stack pointer, x19 and x29 have their old values, and all
    // other registers are declared as overwritten.
    unsafe {
        asm!(
            "adr x9, 2f",
            "mov x10, sp",
            "ldp x16, x12, [x1]",
            "ldp x13, x14, [x1, #16]",
            "stp x9, x10, [x0]",
            "stp x29, x19, [x0, #16]",
            "mov sp, x12",
            "mov x29, x13",
            "mov x19, x14",
            "mov x30, xzr",
            "mov x0, x1",
            "br x16",
            "2:",
            "hint #36", // bti j
            inout("x0") from => _, inout("x1") to => _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            clobber_abi("C"),
        );
    }
}

/// Continues at `to` permanently.
///
/// # Safety
///
/// As for [`switch`]; and nothing on this stack may be needed any more.
#[inline(always)]
pub(super) unsafe fn leave(to: *mut Context) -> ! {
    // SAFETY: as in `switch`. Control never returns here.
    unsafe {
        asm!(
            "ldp x16, x12, [x0]",
            "ldp x29, x19, [x0, #16]",
            "mov sp, x12",
            "br x16",
            in("x0") to,
            options(noreturn),
        );
    }
}

/// Prefetches the cache line of this address. A hint: any address is allowed.
#[inline(always)]
pub(super) fn prefetch(address: usize) {
    // SAFETY: a prefetch has no effect that a program can observe, whatever the address.
    unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
}
