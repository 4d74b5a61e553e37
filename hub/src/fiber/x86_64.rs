//! The switch on x86-64 Unix. `native` has the general explanation.
//!
//! * **rbx and rbp** are saved by hand: LLVM reserves both and accepts neither as an operand of an
//!   asm block.
//! * **x87 control word and MXCSR** are not touched: they belong to the thread. A switch does not
//!   change them, and Rust code must not run with non-default values anyway. Code that sets them
//!   for a C library must restore them before the next wait.
//! * **Red zone**: nothing is pushed, and the compiler keeps its red zone clear of asm blocks.
//! * **CET**: each jump target inside the block begins with `endbr64`; a fiber's first function has
//!   one if the program was built with them. With a *shadow stack* enabled no fiber here can work,
//!   including corosensei's: the frames of several stacks return in an order other than that of
//!   their calls. Rust programs are not marked as ready for a shadow stack, so the system does not
//!   enable it.

#![expect(unsafe_code, reason = "switches stacks")]

use std::arch::asm;

use super::Context;

/// The size of the return address that a call leaves on the stack. For a fiber's first function the
/// return address is zero, which ends every backtrace.
pub(super) const RETURN_ADDRESS: usize = 8;

/// Continues at `to`, and stores in `from` where this side continues. Returns when other code
/// continues at `from`.
///
/// # Safety
///
/// `to` must be another context than `from`. It must hold where the code of another stack stopped,
/// or the entry of a fresh fiber. Neither may be accessed by other code during the switch.
#[inline(always)]
pub(super) unsafe fn switch(from: *mut Context, to: *mut Context) {
    // SAFETY: the registers of the other side are loaded and its code continues as after a call.
    // When this side is continued, the stack pointer, rbx and rbp have their old values, and all
    // other registers are declared as overwritten.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov rcx, [rsi]",
            "mov [rdi], rax",
            "mov [rdi + 8], rsp",
            "mov [rdi + 16], rbp",
            "mov [rdi + 24], rbx",
            "mov rsp, [rsi + 8]",
            "mov rbp, [rsi + 16]",
            "mov rbx, [rsi + 24]",
            "mov rdi, rsi", // the argument of the first function of a fiber
            "jmp rcx",
            "2:",
            "endbr64",
            inout("rdi") from => _, inout("rsi") to => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
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
            "mov rcx, [rdi]",
            "mov rsp, [rdi + 8]",
            "mov rbp, [rdi + 16]",
            "mov rbx, [rdi + 24]",
            "jmp rcx",
            in("rdi") to,
            options(noreturn),
        );
    }
}

/// Prefetches the cache line of this address. A hint: any address is allowed.
#[inline(always)]
pub(super) fn prefetch(address: usize) {
    // SAFETY: a prefetch has no effect that a program can observe, whatever the address.
    unsafe { asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
}
