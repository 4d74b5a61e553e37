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

/// Continues at `context`, and stores there where this side continues. Returns when the other side
/// switches back or has left permanently. The result is the argument of the switch back, or null
/// after a permanent leave.
///
/// # Safety
///
/// `context` must hold where the other side of this stack pair stopped, or the entry of a fresh
/// fiber, and must not be accessed by other code during the switch.
#[inline(always)]
pub(super) unsafe fn switch(context: *mut Context) -> *mut Context {
    let back;
    // SAFETY: the other side's registers are loaded and its code continues as after a call. When it
    // switches back, the stack pointer, rbx and rbp have their old values, and all other registers
    // are declared as overwritten.
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

/// Continues at `context` permanently.
///
/// # Safety
///
/// As for [`switch`]; and nothing on this stack may be needed any more.
#[inline(always)]
pub(super) unsafe fn leave(context: *mut Context) -> ! {
    // SAFETY: as in `switch`. Control never returns here.
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

/// Prefetches the cache line of this address. A hint: any address is allowed.
#[inline(always)]
pub(super) fn prefetch(address: usize) {
    // SAFETY: a prefetch has no effect that a program can observe, whatever the address.
    unsafe { asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
}
