//! What the thread is doing right now: declaring a runbook, or performing a step of one through a host.
//!
//! Words carry no context argument, so they find it here. A script runs on one thread a lane, and each lane
//! enters with a host of its own.

use std::cell::RefCell;
use std::sync::Arc;

use super::declare::Draft;
use crate::model::host::Host;

thread_local! {
    static HOSTS: RefCell<Vec<Arc<dyn Host>>> = const { RefCell::new(Vec::new()) };
    static DRAFT: RefCell<Option<Draft>> = const { RefCell::new(None) };
    static TOUCHED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Leaves the host when dropped, however the call ended.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        HOSTS.with_borrow_mut(Vec::pop);
    }
}

/// From here until the guard is dropped, words on this thread act through `host`.
pub(crate) fn enter(host: Arc<dyn Host>) -> Entered {
    HOSTS.with_borrow_mut(|hosts| hosts.push(host));
    Entered
}

/// The host of the step being performed on this thread.
pub(crate) fn host() -> Option<Arc<dyn Host>> {
    HOSTS.with_borrow(|hosts| hosts.last().cloned())
}

/// Whether a runbook's top level is being evaluated on this thread.
pub(crate) fn declaring() -> bool {
    DRAFT.with_borrow(Option::is_some)
}

/// Evaluates a top level: what it declares is collected, and handed back with its result.
pub(crate) fn declare<T>(body: impl FnOnce() -> T) -> (T, Draft) {
    struct Restore(Option<Draft>);
    impl Drop for Restore {
        fn drop(&mut self) {
            DRAFT.set(self.0.take());
        }
    }
    let _restore = Restore(DRAFT.replace(Some(Draft::default())));
    let result = body();
    (result, DRAFT.take().unwrap_or_default())
}

/// Changes what is being declared; `None` outside of a top level.
pub(crate) fn draft<T>(change: impl FnOnce(&mut Draft) -> T) -> Option<T> {
    DRAFT.with_borrow_mut(|draft| draft.as_mut().map(change))
}

/// Remembers the step of an unknown that the script got hold of, for the errors of Rhai that name only a type.
pub(crate) fn touched(step: &str) {
    TOUCHED.with_borrow_mut(|touched| *touched = Some(step.to_owned()));
}

/// The step of the last unknown that the script got hold of.
pub(crate) fn last_touched() -> Option<String> {
    TOUCHED.with_borrow(Clone::clone)
}
