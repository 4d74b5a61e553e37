//! The greenlet that everybody may hold: a record, told from others by where it is.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::TaskRef;

/// A greenlet of whatever result: what [`getcurrent`](crate::getcurrent) returns and what links are given.
///
/// Clones are the same greenlet. A handle does not own its greenlet: dropping every handle neither stops it nor
/// waits for it.
#[derive(Clone)]
pub struct AnyGreenlet {
    pub(crate) record: TaskRef,
}

impl AnyGreenlet {
    /// Whether both are one and the same greenlet.
    pub fn is(&self, other: &AnyGreenlet) -> bool {
        // Addresses, not fat pointers: one type may have several vtables.
        std::ptr::addr_eq(Rc::as_ptr(&self.record), Rc::as_ptr(&other.record))
    }
}

impl From<&TaskRef> for AnyGreenlet {
    fn from(record: &TaskRef) -> Self {
        AnyGreenlet { record: record.clone() }
    }
}

impl PartialEq for AnyGreenlet {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for AnyGreenlet {}

/// By identity, as equality is: sets and maps of greenlets hold each of them once.
impl Hash for AnyGreenlet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The address alone, as in `is`.
        Rc::as_ptr(&self.record).cast::<()>().hash(state);
    }
}

impl AsRef<AnyGreenlet> for AnyGreenlet {
    fn as_ref(&self) -> &AnyGreenlet {
        self
    }
}

/// Told of greenlets.
pub(crate) type SpawnCallback = Rc<dyn Fn(&AnyGreenlet)>;
