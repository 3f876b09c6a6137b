//! What will come of many records that were sent together.

use std::sync::Arc;

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
        for delivery in self {
            let delivered = delivery.await.map(drop);
            all = all.and(delivered);
        }
        all
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        let Delivery { ticket, index } = delivery;
        self.count += 1;
        if let Some(run) = self.runs.last_mut()
            && Arc::ptr_eq(&run.ticket, &ticket)
            && run.first + run.count == index
        {
            run.count += 1;
            return;
        }
        self.runs.push(Run { ticket, first: index, count: 1 });
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
