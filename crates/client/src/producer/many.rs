//! What will come of many records that were sent together.

use std::{future::poll_fn, sync::Arc};

use super::{Delivery, delivery::Ticket};
use crate::error::Result;

/// What will come of many records, in the order in which they were sent: one entry for all that follow each other in
/// a batch.
#[derive(Debug, Default)]
#[must_use = "a record that failed says so nowhere else"]
pub struct Deliveries {
    runs: Vec<Run>,
    count: usize,
}

#[derive(Debug)]
struct Run {
    ticket: Arc<Ticket>,
    first: u32,
    count: u32,
}

impl Deliveries {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Waits until every record is delivered or has failed. The error is that of the first that failed.
    pub async fn all(self) -> Result<()> {
        let mut all = Ok(());
        for run in &self.runs {
            all = all.and(run.delivered().await);
        }
        all
    }

    pub(super) fn push(&mut self, ticket: &Arc<Ticket>, index: u32) {
        self.count += 1;
        match self.runs.last_mut() {
            Some(run) if Arc::ptr_eq(&run.ticket, ticket) && run.end() == index => run.count += 1,
            _ => self.runs.push(Run { ticket: ticket.clone(), first: index, count: 1 }),
        }
    }
}

impl Run {
    fn end(&self) -> u32 {
        self.first + self.count
    }

    /// Waits for all of it, part by part. The error is that of the first that failed.
    async fn delivered(&self) -> Result<()> {
        let (mut all, mut at) = (Ok(()), self.first);
        while at < self.end() {
            let part = poll_fn(|cx| self.ticket.poll_part(at, cx)).await;
            (all, at) = (all.and(part.outcome.map(drop)), part.first + part.count);
        }
        all
    }
}

impl IntoIterator for Deliveries {
    type Item = Delivery;
    type IntoIter = Box<dyn Iterator<Item = Delivery> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.runs.into_iter().flat_map(|Run { ticket, first, count }| {
            (first..first + count).map(move |index| Delivery::new(ticket.clone(), index))
        }))
    }
}
