//! The switch on x86-64 Unix. What is said of it in `native` is not said again here.
//!
//! * **rbx and rbp** are saved by hand: LLVM keeps both for itself and takes neither as an operand of an asm block.
//! * **x87 control word and MXCSR** are not touched: they stay the thread's. A switch is no call that changes them, and
//!   Rust code may not run with other than the default ones anyway. Whoever sets them for a library of C sets them back
//!   before the next wait.
//! * **Red zone**: nothing is pushed, and the compiler keeps what it has there out of the way of asm blocks.
//! * **CET**: each place that is jumped to inside the block begins with `endbr64`; a fiber's first function has one if the
//!   program was built with them. With a *shadow stack* switched on no fiber here can work, corosensei's included: the
//!   frames of several stacks return in another order than they were called in. Rust programs are not marked as ready
//!   for one, so the system does not switch it on.

#![expect(unsafe_code, reason = "switches stacks")]

use std::arch::asm;

use super::Context;

/// What a call leaves on the stack for the function it calls: the return address. For a fiber's first function it is
/// zero, which ends every backtrace.
pub(super) const RETURN_ADDRESS: usize = 8;

/// Goes on as `context` says, and leaves there how this side goes on. Returns when the other side does the same, or
/// has left for good: the argument of whichever came back, null for the latter.
///
/// # Safety
///
/// `context` holds where the other side of this stack pair stopped, or the entry of a fresh fiber, and nobody else
/// looks at it meanwhile.
#[inline(always)]
pub(super) unsafe fn switch(context: *mut Context) -> *mut Context {
    let back;
    // SAFETY: the other side's registers are loaded and its code goes on as after a call. When it switches back, the
    // stack pointer, rbx and rbp are what they were, and all other registers are declared as overwritten.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov rcx, [rdi]",
            "mov rdx, [rdi + 8]",
            "mov rsi, [rdi + 16]",
            "mov r8, [rdi + 24]",
            "mov [rdi], rax",
            "mov [rdi + 8], rsp",
            "mov [rdi + 16], rbp",
            "mov [rdi + 24], rbx",
            "mov rsp, rdx",
            "mov rbp, rsi",
            "mov rbx, r8",
            "jmp rcx",
            "2:",
            "endbr64",
            inout("rdi") context => back,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("C"),
        );
    }
    back
}

/// Goes on as `context` says, for good.
///
/// # Safety
///
/// As for [`switch`]; and nothing on this stack is needed any more.
#[inline(always)]
pub(super) unsafe fn leave(context: *mut Context) -> ! {
    // SAFETY: as in `switch`. Nobody comes back.
    unsafe {
        asm!(
            "mov rcx, [rdi]",
            "mov rsp, [rdi + 8]",
            "mov rbp, [rdi + 16]",
            "mov rbx, [rdi + 24]",
            "xor edi, edi",
            "jmp rcx",
            in("rdi") context,
            options(noreturn),
        );
    }
}

/// Has the processor fetch the line of this address into its cache. A hint: any address will do.
#[inline(always)]
pub(super) fn prefetch(address: usize) {
    // SAFETY: it changes nothing that a program can see, whatever the address.
    unsafe { asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
}
