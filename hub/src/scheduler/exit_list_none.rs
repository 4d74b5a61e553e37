//! The exit list on systems where the C library's list of destructors is not known: there is none.

/// The list of this thread, which never exists.
pub(crate) enum ExitList {}

impl ExitList {
    pub(crate) fn hooked() -> Option<ExitList> {
        None
    }

    pub(crate) fn is_of_first_thread() -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn is_hooked(&self) -> bool {
        match *self {}
    }

    pub(crate) fn hook(&self) -> usize {
        match *self {}
    }

    pub(crate) fn clear(&self) {
        match *self {}
    }
}
