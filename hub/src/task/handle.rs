//! The untyped handle of a greenlet: a record, compared by its address.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::TaskRef;

/// A greenlet with a result of any type, as returned by [`getcurrent`](crate::getcurrent) and
/// passed to links.
///
/// Clones are the same greenlet. A handle does not own its greenlet: dropping every handle neither
/// stops the greenlet nor waits for it.
#[derive(Clone)]
pub struct AnyGreenlet {
    pub(crate) record: TaskRef,
}

impl AnyGreenlet {
    /// Returns `true` if both are the same greenlet.
    pub fn is(&self, other: &AnyGreenlet) -> bool {
        self.record.is(&other.record)
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

/// Hashes the identity, consistent with equality: sets and maps contain each greenlet once.
impl Hash for AnyGreenlet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Only the address, as in `is`.
        self.record.as_ptr().hash(state);
    }
}

impl AsRef<AnyGreenlet> for AnyGreenlet {
    fn as_ref(&self) -> &AnyGreenlet {
        self
    }
}

/// A callback that is called with each started greenlet.
pub(crate) type SpawnCallback = Rc<dyn Fn(&AnyGreenlet)>;
