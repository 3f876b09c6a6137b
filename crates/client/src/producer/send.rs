//! Putting records on their way: one or many, waiting for room or not.

use std::{collections::VecDeque, sync::Arc};

use vltava_core::{Moment, TopicPartition};

use super::{
    Deliveries, Delivery, Producer, ProducerRecord, Shared, Unsent,
    delivery::Ticket,
    open::{Open, Pushed, Sent},
};
use crate::error::{Error, ErrorKind, Result};

/// So many records are pushed at once: others get their turn in between, and no code of the user's runs meanwhile.
const TOGETHER: usize = 64;

impl Producer {
    /// Puts a record on its way. Waits only while the topic is not known yet, or while there is no memory left: then
    /// first come, first served. Dropped before it returns, nothing was sent.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery> {
        match self.shared.push(&record)? {
            Pushed::Taken(delivery) => Ok(delivery),
            Pushed::Full | Pushed::Unknown => {
                let since = self.shared.context.now();
                self.shared.clone().send_in_turn(&record, since).await
            }
        }
    }

    /// Puts a record on its way if that can be done at once. It cannot, and the record comes back with an error of
    /// kind `WouldBlock`, if there is no memory left, if others wait for some, and while the topic is not known yet,
    /// which is then asked for.
    pub fn try_send(&self, record: ProducerRecord) -> Result<Delivery, Unsent> {
        let what = match self.shared.push(&record) {
            Ok(Pushed::Taken(delivery)) => return Ok(delivery),
            Ok(Pushed::Full) => "no memory is left",
            Ok(Pushed::Unknown) => {
                self.shared.learn_of(&record);
                "it is not known yet which partitions there are"
            }
            Err(error) => return Err(Unsent::new(record, error)),
        };
        let doing = format!("sending to topic {}", record.topic);
        Err(Unsent::new(record, Error::new(ErrorKind::WouldBlock).doing(doing).what(what)))
    }

    /// Puts many records on their way, in their order, at less cost than one by one. Waits as [`send`](Self::send)
    /// does. What cannot be sent has failed, and its delivery says so. Dropped before it returns, some were sent and
    /// the rest were not.
    pub async fn send_many(&self, records: impl IntoIterator<Item = ProducerRecord>) -> Deliveries {
        let mut deliveries = Deliveries::default();
        let mut records = records.into_iter();
        let mut together = VecDeque::with_capacity(TOGETHER);
        loop {
            together.extend(records.by_ref().take(TOGETHER));
            if together.is_empty() {
                return deliveries;
            }
            // The time of these runs from here on, once one of them has had to wait. That of later ones does not:
            // together they may have more to wait for than one has time.
            let (since, mut late) = (self.shared.context.now(), None);
            while self.shared.push_all(&mut together, &mut deliveries, late) {
                let Some(record) = together.pop_front() else { continue };
                let sent = self.shared.clone().send_in_turn(&record, since).await;
                late = Some(since);
                let Delivery { ticket, index } = sent.unwrap_or_else(|error| failed(&record, error));
                deliveries.push(&ticket, index);
            }
        }
    }
}

fn delivery(ticket: &Arc<Ticket>, index: u32) -> Delivery {
    Delivery::new(ticket.clone(), index)
}

/// What came of a record that was not taken.
fn failed(record: &ProducerRecord, error: Error) -> Delivery {
    let partition = record.partition.unwrap_or(-1);
    let ticket = Ticket::new(TopicPartition::new(record.topic.clone(), partition));
    ticket.complete(0, 1, Err(error));
    Delivery::new(ticket, 0)
}

impl Shared {
    /// Pushes a record, unless others wait for memory.
    fn push(&self, record: &ProducerRecord) -> Result<Pushed<Delivery>> {
        self.push_by(|open, time| match open.waiting {
            0 => open.push(|| self.context.now(), Sent { record, time, since: None }, delivery),
            _ => Ok(Pushed::Full),
        })
    }

    /// Takes the lock, and asks for the time that records without one of their own get.
    fn push_by<P>(&self, push: impl FnOnce(&mut Open, i64) -> P) -> P {
        let time = self.context.clock.wall().0;
        let (pushed, news) = {
            let mut open = self.lock();
            let pushed = push(&mut open, time);
            (pushed, std::mem::take(&mut open.news))
        };
        if news {
            self.work.notify_one();
        }
        pushed
    }

    /// Pushes records until one is not taken, which stays; says whether there is one. Those that are late were sent
    /// at that moment.
    fn push_all(
        &self,
        records: &mut VecDeque<ProducerRecord>,
        deliveries: &mut Deliveries,
        late: Option<Moment>,
    ) -> bool {
        self.push_by(|open, time| {
            while open.waiting == 0
                && let Some(record) = records.front()
            {
                let sent = Sent { record, time, since: late };
                match open.push(|| self.context.now(), sent, |ticket, index| deliveries.push(ticket, index)) {
                    Ok(Pushed::Taken(())) => (),
                    Ok(Pushed::Full | Pushed::Unknown) => return true,
                    Err(error) => deliveries.push(&failed(record, error).ticket, 0),
                }
                records.pop_front();
            }
            !records.is_empty()
        })
    }

    /// Waits for what is missing: first to know the topic, then for memory, behind those who came before. The time of
    /// the record runs since it was sent.
    async fn send_in_turn(self: Arc<Self>, record: &ProducerRecord, since: Moment) -> Result<Delivery> {
        let deadline = since + self.config.delivery_timeout;
        self.know(&record.topic, record.partition, deadline).await?;
        let _waiting = Waiting::new(&self);
        let sent = async {
            let _first = self.line.lock().await;
            loop {
                let pushed = self.push_by(|open, time| {
                    let sent = Sent { record, time, since: Some(since) };
                    open.push(|| self.context.now(), sent, delivery)
                });
                if let Pushed::Taken(delivery) = pushed? {
                    return Ok(delivery);
                }
                self.room.notified().await;
            }
        };
        tokio::select! {
            biased;
            sent = sent => sent,
            () = self.context.clock.sleep_until(deadline) => {
                let what = format!("no memory was left within {:?}", self.config.delivery_timeout);
                let error = Error::new(ErrorKind::TimedOut).doing(format!("sending to topic {}", record.topic));
                Err(error.what(what).fix("raise memory_bytes, or send no more than the cluster takes"))
            }
        }
    }

    /// Has somebody else find out what partitions a topic has.
    fn learn_of(self: &Arc<Self>, record: &ProducerRecord) {
        let topic = record.topic.clone();
        if !self.lock().learning.insert(topic.clone()) {
            return;
        }
        let (shared, partition) = (self.clone(), record.partition);
        tokio::spawn(async move {
            let deadline = shared.context.now() + shared.config.delivery_timeout;
            if let Err(error) = shared.know(&topic, partition, deadline).await {
                tracing::debug!(%topic, %error, "its partitions are not known");
            }
            shared.lock().learning.remove(&topic);
        });
    }

    /// Finds out what partitions a topic has, and waits for the one that a record names: a topic may have grown
    /// without this client's knowing.
    async fn know(&self, name: &Arc<str>, partition: Option<i32>, deadline: Moment) -> Result<()> {
        let mut news = self.cluster.news();
        loop {
            news.catch_up();
            let topic = self.cluster.topic(name, true, deadline).await;
            let (topic, interest) = topic.map_err(|error| error.doing(format!("sending to topic {name}")))?;
            let count = self.lock().learn(name, &topic, interest);
            let Some(partition) = partition else { return Ok(()) };
            match usize::try_from(partition) {
                Ok(number) if number < count => return Ok(()),
                Ok(_) if self.cluster.renewed(&mut news, deadline).await => (),
                _ => {
                    let what = format!("{name}-{partition} is not there: the topic has {count} partitions");
                    return Err(Error::new(ErrorKind::UnknownTopic).what(what).doing("sending a record"));
                }
            }
        }
    }
}

/// A sender that waits for memory; as long as there is one, others queue up behind it.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.lock().waiting += 1;
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}
