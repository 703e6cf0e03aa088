//! Who is told what happens.

/// Is told every event in the order in which it happens. Called between steps: it should not block.
///
/// A closure is an observer. Events hold no secret (law C13).
pub trait Observer<E>: Send + Sync {
    /// Takes note of an event.
    fn on_event(&self, event: &E);
}

impl<E, F: Fn(&E) + Send + Sync> Observer<E> for F {
    fn on_event(&self, event: &E) {
        self(event);
    }
}

/// An observer that takes no note.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl<E> Observer<E> for Quiet {
    fn on_event(&self, _: &E) {}
}
