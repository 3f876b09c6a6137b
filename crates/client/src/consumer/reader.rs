//! Consuming by hand: batch after batch, whatever partition it is of.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use vltava_core::{Moment, TopicPartition};

use super::{
    Committer, ConsumerRecord, Event, Events, Notices, PartitionStream, RecordBatch, RecordStream, Within,
    hooks::Hooks, streams::Streams, turn, within,
};
use crate::{Client, error::Result, net::BoxFuture};

/// Reads batches or records as a member of a group. Partitions come and go in [`next`](Self::next) and its like, in
/// order with the records; who wants to do something then says so by
/// [`on_assigned`](super::ConsumerBuilder::on_assigned) and its like. Who works on partitions side by side uses
/// [`split`](Self::split).
///
/// The member is alive without being asked for anything, for as long as its user is: that is judged by the oldest
/// record that was handed out and is not finished, see [`unfinished_max`](super::ConsumerBuilder::unfinished_max).
///
/// # Commits
///
/// What was handed out counts as finished once the next batch or record is asked for, and before if it was stored
/// ([`store_offset`](Self::store_offset)) or committed. With [`auto_store`](super::ConsumerBuilder::auto_store) off
/// it does only then. With [`auto_commit`](super::ConsumerBuilder::auto_commit) what is finished, and nothing else,
/// is committed every few seconds, before partitions are given back, and when the consumer is shut down or dropped;
/// without, nothing is committed that was not asked for. So what is in hand when the consumer ends comes again, unless
/// it was stored.
///
/// Commits go forward only: a lower offset than was committed since the partition was assigned counts as committed.
#[derive(Debug)]
pub struct Consumer {
    pub(super) events: Events,
    pub(super) committer: Committer,
    pub(super) streams: Streams,
    pub(super) membership: Membership,
    /// What goes on between two records: partitions have come, or are going.
    turn: Option<Turn>,
}

/// What a member is, to its user.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) client: Client,
    pub(super) group: Arc<str>,
    pub(super) hooks: Hooks,
    pub(super) auto_commit: bool,
    /// What happens between two records may take so long.
    pub(super) hook_max: Duration,
}

/// Ends with partitions to be read from now on. Nobody shares it: the lock only says so.
struct Turn(Mutex<BoxFuture<turn::Outcome>>);

impl Turn {
    fn future(&mut self) -> &mut BoxFuture<turn::Outcome> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turn")
    }
}

impl Consumer {
    pub(super) fn member(events: Events, committer: Committer, membership: Membership) -> Self {
        Self { events, committer, streams: Streams::default(), membership, turn: None }
    }

    /// The next batch of any partition, or what [`recv`](Self::recv) has left of one; none once the member has left
    /// its group. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next record; otherwise as [`next`](Self::next). Cancel-safe.
    ///
    /// ```no_run
    /// # use vltava_client::{Client, Result};
    /// # async fn audit(client: &Client) -> Result<()> {
    /// let mut consumer = client.consumer().group("audit").subscribe(["orders"]).await?;
    /// while let Some(record) = consumer.recv().await? {
    ///     println!("{} @ {}: {:?}", record.topic_partition(), record.offset(), record.value());
    ///     consumer.commit_record(&record).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv(&mut self) -> Result<Option<ConsumerRecord>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next batch if one comes within a time. Cancel-safe.
    pub async fn next_within(&mut self, time: Duration) -> Result<Within<RecordBatch>> {
        let (client, deadline) = self.until(time);
        within::by(&**client.clock(), deadline, self.next()).await
    }

    /// The next record if one comes within a time. Cancel-safe.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use vltava_client::{Consumer, Result, Within};
    /// # async fn tick(mut consumer: Consumer) -> Result<()> {
    /// loop {
    ///     match consumer.recv_within(Duration::from_secs(1)).await? {
    ///         Within::Came(record) => println!("{:?}", record.value()),
    ///         Within::Nothing => println!("nothing for a second"),
    ///         Within::Ended => return Ok(()),
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn recv_within(&mut self, time: Duration) -> Result<Within<ConsumerRecord>> {
        let (client, deadline) = self.until(time);
        within::by(&**client.clock(), deadline, self.recv()).await
    }

    /// Waits for a record no longer than a time, and takes what is there of others without waiting, `max` in all.
    /// What came has one record at least. Cancel-safe.
    pub async fn recv_many(&mut self, max: usize, time: Duration) -> Result<Within<Vec<ConsumerRecord>>> {
        let (client, deadline) = self.until(time);
        let many = poll_fn(|cx| match ready!(self.poll_turn(cx)?) {
            true => Poll::Ready(Ok(None)),
            false => self.streams.poll_recv_many(cx, max).map_ok(Some),
        });
        within::by(&**client.clock(), deadline, many).await
    }

    /// The records as a [`Stream`](futures_core::Stream); the consumer itself is one of batches.
    pub fn records(&mut self) -> RecordStream<'_, Self> {
        RecordStream(self)
    }

    /// Tells from now on which positions jumped, which ends were reached, what stands still, and what came of commits
    /// that nobody waits for.
    pub fn notices(&self) -> Notices {
        self.events.notices()
    }

    /// The partitions that are assigned at the moment: where each stands and how far it lags.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = &PartitionStream> {
        self.streams.iter()
    }

    /// A partition that is assigned at the moment, to pause it, to go on elsewhere, or to read it alone. All that ends
    /// with the assignment: a partition that was paused, and comes back after it was another's, is read.
    pub fn partition(&mut self, partition: &TopicPartition) -> Option<&mut PartitionStream> {
        self.streams.find(partition)
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        match ready!(self.poll_turn(cx)?) {
            true => Poll::Ready(Ok(None)),
            false => self.streams.poll_next(cx).map_ok(Some),
        }
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ConsumerRecord>>> {
        match ready!(self.poll_turn(cx)?) {
            true => Poll::Ready(Ok(None)),
            false => self.streams.poll_recv(cx).map_ok(Some),
        }
    }

    /// Takes what is told, and has all of it dealt with before anything more is handed out; says whether the member
    /// has left.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        self.streams.ask();
        self.committer.progress().asks();
        loop {
            if let Some(turn) = &mut self.turn {
                let turn::Outcome { streams, result } = ready!(turn.future().as_mut().poll(cx));
                self.turn = None;
                self.streams.extend(streams);
                result?;
            }
            match self.events.poll_next(cx)? {
                Poll::Ready(Some(event)) => self.begin(event),
                Poll::Ready(None) => return Poll::Ready(Ok(true)),
                Poll::Pending => return Poll::Ready(Ok(false)),
            }
        }
    }

    fn begin(&mut self, event: Event) {
        let Membership { client, hooks, auto_commit, hook_max, .. } = &self.membership;
        let (clock, committer) = (client.clock().clone(), self.committer.clone());
        let deadline = clock.now() + *hook_max;
        let turn: BoxFuture<_> = match event {
            Event::Assigned(streams) => match &hooks.assigned {
                None => return self.streams.extend(streams),
                Some(hook) => Box::pin(turn::assigned(hook.clone(), streams, committer, clock, deadline)),
            },
            Event::Revoked(revocation) => {
                let_go(&mut self.streams, &revocation.partitions);
                let hook = hooks.revoked.clone();
                Box::pin(turn::revoked(hook, revocation, committer, clock, *auto_commit))
            }
            Event::Lost(partitions) => {
                let_go(&mut self.streams, &partitions);
                let Some(hook) = &hooks.lost else { return };
                Box::pin(turn::lost(hook.clone(), partitions, clock, deadline))
            }
        };
        self.turn = Some(Turn(Mutex::new(turn)));
    }

    /// Leaves the group: what goes on between records is ended, the partitions are given back as when another member
    /// wants them, with [`on_revoked`](super::ConsumerBuilder::on_revoked) and an automatic commit of what is
    /// finished, and commits that are under way are waited for. Gives up waiting after `within`.
    pub async fn shutdown(mut self, within: Duration) -> Result<()> {
        let (client, deadline) = self.until(within);
        let clock = client.clock().clone();
        let result = tokio::select! {
            biased;
            result = self.give_back(deadline) => result,
            () = clock.sleep_until(deadline) => Ok(()),
        };
        self.committer.leave(deadline.since(clock.now())).await.and(result)
    }

    async fn give_back(&mut self, deadline: Moment) -> Result<()> {
        if let Some(mut turn) = self.turn.take() {
            self.streams.extend(turn.future().await.streams);
        }
        let partitions: Vec<_> = self.streams.iter().map(|it| it.topic_partition().clone()).collect();
        let_go(&mut self.streams, &partitions);
        let Membership { client, hooks, auto_commit, .. } = &self.membership;
        if let Some(hook) = hooks.revoked.as_ref().filter(|_| !partitions.is_empty()) {
            let (clock, committer) = (client.clock().clone(), self.committer.clone());
            turn::call_revoked(hook, partitions, deadline, committer, clock).await;
        }
        if *auto_commit { self.committer.commit_stored().await } else { Ok(()) }
    }

    /// The two halves, for whoever works on partitions side by side. Hooks are called no more, and whether the user
    /// is stuck is not judged any more. Automatic commits go on for what is finished of each stream, but partitions
    /// that are given back are not waited for: [`Committer::commit_stored`] is for that.
    pub fn split(self) -> (Events, Committer) {
        let Self { mut events, committer, streams, .. } = self;
        events.watch_no_more();
        events.put_back(streams);
        (events, committer)
    }

    fn until(&self, time: Duration) -> (Client, Moment) {
        let client = self.membership.client.clone();
        let deadline = client.clock().now() + time;
        (client, deadline)
    }
}

/// What was not handed out of these is not any more.
fn let_go(streams: &mut Streams, partitions: &[TopicPartition]) {
    streams.retire(|stream| partitions.contains(stream.topic_partition()));
}
