//! What waits to be read by one live stream. Who gets what is the hub's to say.
//!
//! Whoever emits never waits for a reader, so that one slow reader holds up neither the world nor other streams; what it
//! has not read is kept for it, up to [`CAPACITY`]. A reader further behind is told so: its stream fails.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tonic::Status;

/// How many notifications may wait for one reader. Far beyond what a test or a person lets pile up; a limit at all so
/// that a reader that never reads costs a bounded amount.
pub const CAPACITY: usize = 1 << 17;

/// The shared end of a queue.
#[derive(Debug)]
pub(super) struct Queue<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<T>,
    end: Option<Result<(), Status>>,
    reader: Option<Waker>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { waiting: VecDeque::new(), end: None, reader: None })))
    }

    /// Adds an element; a full queue fails its stream instead, and false is returned.
    pub(super) fn push(&self, element: T) -> bool {
        let mut inner = self.inner();
        let open = inner.end.is_none();
        if open && inner.waiting.len() < CAPACITY {
            inner.waiting.push_back(element);
        } else if open {
            inner.end = Some(Err(Status::resource_exhausted("the reader is too far behind")));
        }
        let kept = open && inner.end.is_none();
        wake(inner);
        kept
    }

    /// Ends the stream behind what already waits. The first end stays.
    pub(super) fn finish(&self, end: Result<(), Status>) {
        let mut inner = self.inner();
        inner.end.get_or_insert(end);
        wake(inner);
    }

    pub(super) fn len(&self) -> usize {
        self.inner().waiting.len()
    }

    pub(super) fn try_next(&self) -> Option<T> {
        self.inner().waiting.pop_front()
    }

    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Option<Result<T, Status>>> {
        let mut inner = self.inner();
        if let Some(element) = inner.waiting.pop_front() {
            return Poll::Ready(Some(Ok(element)));
        }
        match &mut inner.end {
            None => {
                inner.reader = Some(context.waker().clone());
                Poll::Pending
            }
            Some(end) => match std::mem::replace(end, Ok(())) {
                Ok(()) => Poll::Ready(None),
                Err(status) => Poll::Ready(Some(Err(status))),
            },
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the reader once the lock is free again, so that it does not run into it.
fn wake<T>(mut inner: MutexGuard<'_, Inner<T>>) {
    let reader = inner.reader.take();
    drop(inner);
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_keeps_what_it_has_and_fails_behind_it() {
        let queue = Queue::new();
        for number in 0..CAPACITY {
            assert!(queue.push(number));
        }
        assert!(!queue.push(0));
        for number in 0..CAPACITY {
            assert_eq!(queue.try_next(), Some(number));
        }
        let context = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(Err(status))) = queue.poll(&context) else { panic!("it must fail") };
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert!(matches!(queue.poll(&context), Poll::Ready(None)));
    }
}
