//! The inboxes of all hubs by the numbers of their threads: the way home for a value that is dropped
//! on another thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::inbox::hub_inbox::Inbox;
use crate::inbox::thread_bound::thread_number;
use crate::loom::Mutex;

static HOMES: Mutex<BTreeMap<u64, Arc<Inbox>>> = Mutex::new(BTreeMap::new());

/// Enters the inbox of this thread's new hub.
pub(super) fn enter(inbox: &Arc<Inbox>) {
    let earlier = HOMES.lock().insert(thread_number(), inbox.clone());
    drop(earlier);
}

/// Removes the inbox of this thread's hub, before it is closed.
pub(super) fn leave() {
    let left = HOMES.lock().remove(&thread_number());
    drop(left);
}

/// Returns the inbox of the hub on the thread with this number, if that thread has a hub.
pub(super) fn inbox_of(thread: u64) -> Option<Arc<Inbox>> {
    HOMES.lock().get(&thread).cloned()
}
