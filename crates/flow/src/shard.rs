//! One task that owns whole partitions: takes their batches, runs handlers on their records, commits.
//!
//! It is not who decides which partitions it has; the driver tells it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};
use vltava_client::{Commit, ErrorKind, Moment, PartitionStream, TopicPartition};
use vltava_core::work::{Place, Schedule, Ticket, Work};

use crate::{
    Error, Failure, Outcome, Record,
    alarm::Alarm,
    commits::Commits,
    error::Result,
    leaving::{Leaving, Stage, Why},
    pool::Workers,
    slots::{Ended, Slots},
    sources::{Progress, Sources},
};

/// What the driver tells a shard.
pub(crate) enum Order {
    /// These are yours.
    Assign(Vec<PartitionStream>),
    /// Finish with these by the deadline, then report the number.
    Revoke { number: u64, partitions: Vec<TopicPartition>, deadline: Moment },
    /// These are gone.
    Lose(Vec<TopicPartition>),
    /// Finish with all by the deadline, then end.
    Stop { deadline: Moment },
    /// Tell how far you are.
    Tell(oneshot::Sender<Told>),
}

/// What a shard tells the driver of its own accord.
#[derive(Debug)]
pub(crate) enum Report {
    /// The partitions of this revocation are done with.
    Released(u64),
    /// The flow has to stop.
    Failed(Error),
}

/// How far a shard is.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) done: u64,
    pub(crate) cancelled: u64,
    pub(crate) at_work: usize,
    pub(crate) waiting: usize,
    pub(crate) partitions: Vec<Progress>,
}

/// How a shard ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ran {
    /// Records done.
    pub(crate) done: u64,
    /// Handlers cut short because the flow stopped.
    pub(crate) cut_short: u64,
}

/// What a handler says of a record.
pub(crate) type Handled = std::result::Result<Outcome, Failure>;

/// A record at work.
pub(crate) struct Task {
    ticket: Ticket,
    record: Record,
}

/// A shard is built by the driver from its parts.
pub(crate) struct Shard<C, F: Future<Output = Handled>> {
    /// Calls the handler.
    pub(crate) call: C,
    pub(crate) schedule: Schedule<Record>,
    pub(crate) slots: Slots<Task, F>,
    pub(crate) sources: Sources,
    pub(crate) workers: Workers,
    pub(crate) commits: Commits,
    pub(crate) alarm: Alarm,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
    pub(crate) leaving: VecDeque<Leaving>,
    /// As the schedule's limit.
    pub(crate) partition_records: usize,
    pub(crate) stopping: bool,
    pub(crate) cancelled: u64,
    pub(crate) ran: Ran,
}

/// A shard lets other tasks run after so many records that were ready at once, or so many handlers that were woken.
const READY_IN_A_ROW: usize = 64;

impl<C, F> Shard<C, F>
where
    C: Fn(Record) -> F,
    F: Future<Output = Handled>,
{
    /// Runs until it was told to stop and has.
    pub(crate) async fn run(mut self) -> Ran {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ran> {
        let now = self.alarm.now();
        // Each has its own: handlers that wake themselves keep no record from starting.
        let (mut woken, mut ready) = (READY_IN_A_ROW, READY_IN_A_ROW);
        loop {
            let mut moved = self.obey(now, context);
            moved |= self.finish(&mut woken, context);
            moved |= self.feed(context);
            moved |= self.start(&mut ready, context);
            moved |= self.commit(now, context);
            moved |= self.leave(now);
            if self.stopping && self.leaving.is_empty() {
                return Poll::Ready(self.ran);
            }
            if woken == 0 || ready == 0 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !moved {
                break;
            }
        }
        if let Some(at) = self.wake_at()
            && self.alarm.poll(at, context).is_ready()
        {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// When there is something to do even if nothing happens.
    fn wake_at(&self) -> Option<Moment> {
        let leaving = self.leaving.front().map(Leaving::next);
        let commit = (!self.commits.is_busy() && self.may_commit()).then(|| self.commits.next());
        leaving.into_iter().chain(commit).min()
    }

    /// The last commit of those that leave is not disturbed by another.
    fn may_commit(&self) -> bool {
        self.leaving.front().is_none_or(|it| it.stage == Stage::Draining)
    }

    fn obey(&mut self, now: Moment, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(order) = self.orders.poll_recv(context) {
            let Some(order) = order else {
                // A driver that is gone has stopped at once.
                self.stop(now, now);
                return moved;
            };
            match order {
                Order::Assign(streams) if self.stopping => drop(streams),
                Order::Assign(streams) => {
                    streams.into_iter().for_each(|stream| self.sources.add(&mut self.schedule, stream));
                }
                Order::Revoke { number, partitions, deadline } => {
                    let places = partitions.iter().filter_map(|it| self.sources.find(it)).collect();
                    self.begin_leaving(places, Why::Revoked(number), now, deadline);
                }
                Order::Lose(partitions) => {
                    let places: Vec<_> = partitions.iter().filter_map(|it| self.sources.find(it)).collect();
                    self.release(&places);
                }
                Order::Stop { deadline } => self.stop(now, deadline),
                // Who asked may be gone; then nobody needs the answer.
                Order::Tell(asked) => drop(asked.send(self.told())),
            }
            moved = true;
        }
        moved
    }

    /// A further stop may only make it end earlier.
    fn stop(&mut self, now: Moment, deadline: Moment) {
        self.leaving.iter_mut().for_each(|it| it.hurry(now, deadline));
        if mem::replace(&mut self.stopping, true) {
            return;
        }
        let places = self.sources.iter().map(|it| it.place).collect();
        self.begin_leaving(places, Why::Stopped, now, deadline);
    }

    fn begin_leaving(&mut self, places: Vec<Place>, why: Why, now: Moment, deadline: Moment) {
        places.iter().for_each(|place| self.schedule.close(*place));
        self.leaving.push_back(Leaving::new(places, why, now, deadline));
    }

    fn finish(&mut self, woken: &mut usize, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Some(ended) = self.slots.poll_ended(woken, context) {
            self.ended(ended);
            moved = true;
        }
        moved
    }

    fn feed(&mut self, context: &mut Context<'_>) -> bool {
        match self.sources.feed(&mut self.schedule, context) {
            Ok(fed) => fed,
            Err(error) => {
                self.fail(error);
                true
            }
        }
    }

    fn start(&mut self, ready: &mut usize, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        self.workers.give_up(self.slots.in_use(), self.schedule.has_ready());
        while *ready > 0 && self.schedule.has_ready() && self.workers.has_one(self.slots.in_use(), context) {
            let Work { record, ticket } = self.schedule.take().expect("a record is ready");
            let future = (self.call)(record.clone());
            if let Some(ended) = self.slots.start(Task { ticket, record }, future) {
                self.ended(ended);
                *ready -= 1;
            }
            moved = true;
        }
        if !self.schedule.has_ready() {
            self.workers.give_up(self.slots.in_use(), false);
        }
        moved
    }

    fn ended(&mut self, ended: Ended<Task, Handled>) {
        let Task { ticket, record } = ended.meta;
        let place = ticket.place();
        match ended.result.unwrap_or_else(|panic| Err(Failure::panic(&*panic))) {
            Ok(Outcome::Done | Outcome::Skip) => {
                self.schedule.done(ticket);
                self.sources.freed(&self.schedule, place, self.partition_records);
                self.commits.count();
                self.ran.done += 1;
            }
            Err(failure) => {
                self.fail(Error::record(&record, failure));
                self.schedule.cancelled(ticket);
            }
        }
    }

    /// Starts nothing more, and tells the driver, which stops all shards.
    fn fail(&mut self, error: Error) {
        self.sources.iter().for_each(|it| self.schedule.close(it.place));
        // A driver that is gone has stopped already.
        drop(self.reports.send(Report::Failed(error)));
    }

    fn commit(&mut self, now: Moment, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        if let Some((commits, result)) = self.commits.poll(context) {
            self.committed(&commits, result);
            moved = true;
        }
        if self.commits.is_due(now) && self.may_commit() {
            let commits = self.sources.commits(&self.schedule, |_| true);
            moved |= !commits.is_empty();
            self.commits.begin(now, commits);
        }
        moved
    }

    fn committed(&mut self, commits: &[Commit], result: Result<()>) {
        let Err(error) = result else {
            debug!(partitions = commits.len(), "committed");
            return self.sources.committed(commits);
        };
        let retired = error.as_client().is_some_and(|it| it.kind() == ErrorKind::Retired);
        if retired || (error.is_retriable() && !self.stopping) {
            warn!(?error, "a commit will be tried again");
        } else {
            self.fail(error);
        }
    }

    /// Brings the first of those that leave as far as it gets; those behind it wait for it.
    fn leave(&mut self, now: Moment) -> bool {
        let Some(leaving) = self.leaving.front_mut() else { return false };
        let schedule = &self.schedule;
        match leaving.stage {
            Stage::Draining => {
                let running = leaving.places.iter().any(|place| schedule.running_of(*place) > 0);
                if running && now < leaving.cancel_at {
                    return false;
                }
                leaving.stage = Stage::Drained;
                let (places, why) = (leaving.places.clone(), leaving.why);
                self.cut_short(&places, why);
            }
            Stage::Drained => {
                if self.commits.is_busy() && now < leaving.deadline {
                    return false;
                }
                leaving.stage = Stage::Committing;
                let commits = self.sources.commits(schedule, |place| leaving.places.contains(&place));
                self.commits.begin(now, commits);
            }
            Stage::Committing => {
                if self.commits.is_busy() && now < leaving.deadline {
                    return false;
                }
                self.commits.abandon();
                let Leaving { places, why, .. } = self.leaving.pop_front().expect("it is the first");
                self.release(&places);
                if let Why::Revoked(number) = why {
                    // A driver that is gone has given the revocation back.
                    drop(self.reports.send(Report::Released(number)));
                }
            }
        }
        true
    }

    fn cut_short(&mut self, places: &[Place], why: Why) {
        let cancelled = self.slots.cancel(|task| places.contains(&task.ticket.place()));
        if why == Why::Stopped {
            self.ran.cut_short += cancelled.len() as u64;
        }
        for Task { ticket, record } in cancelled {
            warn!(record = record.name(), "cut short: its partition has to be given back");
            self.cancelled += 1;
            self.schedule.cancelled(ticket);
        }
    }

    fn release(&mut self, places: &[Place]) {
        for task in self.slots.cancel(|task| places.contains(&task.ticket.place())) {
            self.cancelled += 1;
            self.schedule.cancelled(task.ticket);
        }
        for place in places {
            self.schedule.release(*place);
            self.sources.remove(*place);
        }
    }

    fn told(&self) -> Told {
        Told {
            done: self.ran.done,
            cancelled: self.cancelled,
            at_work: self.slots.in_use(),
            waiting: self.schedule.waiting(),
            partitions: self.sources.progress(&self.schedule),
        }
    }
}
