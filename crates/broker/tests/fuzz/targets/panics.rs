//! Panics of a broker's tasks: one takes nobody with it, and so is seen by nobody unless it is looked for.

use std::{cell::Cell, panic, sync::Once};

thread_local! {
    /// A broker of these tests has no thread but the test's own.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Looks for panics from here on.
pub(super) fn see() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            PANICKED.set(true);
            before(what);
        }));
    });
}

/// Asserts that there was none.
pub(super) fn none() {
    assert!(!PANICKED.get(), "a task of the broker panicked");
}
