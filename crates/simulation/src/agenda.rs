//! What is to happen when, on virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use values::Timestamp;

/// Events by time; those of the same time in the order in which they were put down.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    order: BinaryHeap<Reverse<(Timestamp, u64)>>,
    events: BTreeMap<u64, E>,
    next: u64,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { order: BinaryHeap::new(), events: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn at(&mut self, time: Timestamp, event: E) {
        self.order.push(Reverse((time, self.next)));
        self.events.insert(self.next, event);
        self.next += 1;
    }

    /// The next event and its time.
    pub(crate) fn pop(&mut self) -> Option<(Timestamp, E)> {
        let Reverse((time, number)) = self.order.pop()?;
        let event = self.events.remove(&number).expect("every number on the heap has its event");
        Some((time, event))
    }

    /// When the next event is.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.order.peek().map(|Reverse((time, _))| *time)
    }
}
