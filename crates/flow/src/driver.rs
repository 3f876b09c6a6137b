//! The task above a flow's shards: it hears of the group's decisions and of requests, and tells the shards.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
    task::{JoinError, JoinHandle, JoinSet},
};
use tracing::{debug, info};
use vltava_client::{
    Client, Clock, Committer, Event, Events, Moment, PartitionStream, Revocation, TopicPartition,
};
use vltava_core::work::{Limits, Schedule};

use crate::{
    Context, Error, ErrorKind, Flow, Handler, Record,
    alarm::Alarm,
    commits::{Commits, Flush},
    control::{Control, Request, Stats, Summary},
    error::Result,
    pool::{Pool, Workers},
    shard::{Order, Ran, Report, Shard},
    slots::Slots,
    sources::Sources,
};

/// A record that is not done lets so many of its partition pass it at most: after a crash they are done again.
const WINDOW: u64 = 100_000;

/// How often it is looked whether all is done, where a flow ends then.
const LOOK: Duration = Duration::from_millis(20);

/// Leaving the group may take so long beyond what was given for stopping: no longer than a session lasts, after
/// which the group does without us anyway.
const LEAVE: Duration = Duration::from_secs(5);

/// Joins the group and spawns the flow's tasks.
pub(crate) async fn start<H: Handler>(
    client: Client,
    flow: Flow,
    handler: H,
) -> Result<(Control, JoinHandle<Result<Summary>>)> {
    let group = flow.group.clone().unwrap_or_default();
    let (events, committer) = join(&client, &flow, &group).await?;
    let (requests, requested) = mpsc::unbounded_channel();
    let driver = Driver::new(client, &flow, Arc::new(handler), events, committer);
    let task = tokio::spawn(driver.run(requested));
    Ok((Control { requests, task: task.abort_handle() }, task))
}

/// Joins the group.
async fn join(client: &Client, flow: &Flow, group: &str) -> Result<(Events, Committer)> {
    let consumer = client.consumer().group(group).config(flow.consumer.clone());
    let joined = consumer.subscribe(flow.topics.clone()).await;
    let consumer =
        joined.map_err(|error| Error::client(format!("joining the group {group} failed"), error))?;
    Ok(consumer.split())
}

/// What a task that panicked or was aborted says.
pub(crate) fn died(error: JoinError) -> Error {
    if error.is_cancelled() {
        return Error::new(
            ErrorKind::Interrupted,
            "stopped at once: what was not committed will be done again",
        );
    }
    Error::new(ErrorKind::Panicked, format!("the flow's own task panicked: {error}"))
}

struct Driver<H> {
    handler: Arc<H>,
    clock: Arc<dyn Clock>,
    events: Events,
    committer: Committer,
    shards: Vec<mpsc::UnboundedSender<Order>>,
    tasks: JoinSet<Ran>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// Which shard has which partition.
    owners: BTreeMap<TopicPartition, usize>,
    revocations: BTreeMap<u64, Revoking>,
    revocations_made: u64,
    /// Between a revocation and the next assignment it is not known what there is to do.
    is_assigned: bool,
    until_caught_up: bool,
    drain: Duration,
    /// When it has to be over, once the flow is stopping.
    deadline: Option<Moment>,
    ran: Ran,
    error: Option<Error>,
}

/// A revocation that some shards are not done with.
struct Revoking {
    revocation: Revocation,
    shards: usize,
}

type Requests = mpsc::UnboundedReceiver<Request>;

/// What a driver waits for.
enum Heard {
    Request(Request),
    Report(Report),
    Ended(std::result::Result<Ran, JoinError>),
    Event(Option<Event>),
    Failed(vltava_client::Error),
    Look,
}

impl<H: Handler> Driver<H> {
    fn new(client: Client, flow: &Flow, handler: Arc<H>, events: Events, committer: Committer) -> Self {
        let (reporting, reports) = mpsc::unbounded_channel();
        let mut driver = Self {
            handler,
            clock: client.clock().clone(),
            events,
            committer,
            shards: Vec::new(),
            tasks: JoinSet::new(),
            reports,
            owners: BTreeMap::new(),
            revocations: BTreeMap::new(),
            revocations_made: 0,
            is_assigned: false,
            until_caught_up: flow.until_caught_up,
            drain: flow.drain,
            deadline: None,
            ran: Ran::default(),
            error: None,
        };
        let workers = flow.workers as usize;
        let threads = || runtime::Handle::current().metrics().num_workers();
        let shards = flow.shards.map_or_else(threads, |it| it as usize).clamp(1, workers);
        let pool = Pool::new(workers, shards);
        let (flushing, failed) = (driver.handler.clone(), Arc::new(OnceLock::new()));
        let flush: Flush = Arc::new(move || Box::pin(flush(flushing.clone(), failed.clone())));
        for number in 0..shards {
            let workers = Workers::new(pool.clone(), number);
            driver.spawn(&client, flow, workers, shards, flush.clone(), reporting.clone());
        }
        driver
    }

    fn spawn(
        &mut self,
        client: &Client,
        flow: &Flow,
        workers: Workers,
        shards: usize,
        flush: Flush,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let (ordering, orders) = mpsc::unbounded_channel();
        let context = Context::new(client.clone(), flow.group.clone().unwrap_or_default());
        let handler = self.handler.clone();
        let call = move |record| handle(handler.clone(), context.clone(), record);
        let limits = Limits {
            partition_records: flow.prefetch.records,
            partition_bytes: flow.prefetch.bytes,
            total_bytes: flow.prefetch.total_bytes / shards,
            window: WINDOW,
        };
        let now = self.clock.now();
        let shard = Shard {
            call,
            schedule: Schedule::<Record>::new(flow.order, limits, client.seed()),
            slots: Slots::new(),
            sources: Sources::default(),
            workers,
            commits: Commits::new(flow.commit, self.committer.clone(), flush, now),
            alarm: Alarm::new(self.clock.clone()),
            orders,
            reports,
            leaving: Default::default(),
            partition_records: limits.partition_records,
            stopping: false,
            cancelled: 0,
            ran: Ran::default(),
        };
        self.tasks.spawn(shard.run());
        self.shards.push(ordering);
    }

    async fn run(mut self, mut requests: Requests) -> Result<Summary> {
        while !self.tasks.is_empty() {
            match self.hear(&mut requests).await {
                Heard::Request(request) => self.asked(request).await,
                Heard::Report(Report::Failed(error)) => self.fail(error),
                Heard::Report(Report::Released(number)) => self.released(number, &mut requests).await,
                Heard::Ended(Ok(ran)) => {
                    self.ran.done += ran.done;
                    self.ran.cut_short += ran.cut_short;
                }
                Heard::Ended(Err(error)) => self.fail(died(error)),
                Heard::Event(Some(event)) => self.event(event, &mut requests).await,
                Heard::Event(None) => {
                    self.fail(Error::new(ErrorKind::Client, "the group was left by someone else's wish"));
                }
                Heard::Failed(error) => self.fail(Error::client("the group cannot be kept up", error)),
                Heard::Look => self.look().await,
            }
        }
        self.leave().await
    }

    async fn hear(&mut self, requests: &mut Requests) -> Heard {
        let looks = self.until_caught_up && self.deadline.is_none();
        tokio::select! {
            biased;
            Some(request) = requests.recv() => Heard::Request(request),
            Some(report) = self.reports.recv() => Heard::Report(report),
            Some(ended) = self.tasks.join_next() => Heard::Ended(ended),
            event = self.events.next(), if self.error.is_none() => match event {
                Ok(event) => Heard::Event(event),
                Err(error) => Heard::Failed(error),
            },
            () = self.clock.sleep_until(self.clock.now() + LOOK), if looks => Heard::Look,
        }
    }

    async fn asked(&mut self, request: Request) {
        match request {
            Request::Stop { within } => self.stop(within),
            Request::Stats(asked) => drop(asked.send(self.stats().await)),
        }
    }

    /// Waits for a hook, but no longer than until a deadline of its own or that of a stop, which is heard meanwhile.
    async fn wait(
        &mut self,
        hook: impl Future<Output = ()> + Send,
        until: Option<Moment>,
        requests: &mut Requests,
    ) {
        let mut hook = pin!(hook);
        loop {
            let deadline = until.into_iter().chain(self.deadline).min();
            tokio::select! {
                biased;
                () = &mut hook => return,
                Some(request) = requests.recv() => self.asked(request).await,
                () = self.clock.sleep_until(deadline.unwrap_or_default()), if deadline.is_some() => return,
            }
        }
    }

    fn tell(&self, shard: usize, order: Order) {
        // A shard that is gone has reported why, or its task's end will tell.
        drop(self.shards[shard].send(order));
    }

    fn stop(&mut self, within: Duration) {
        let deadline = self.clock.now() + within;
        let deadline = self.deadline.map_or(deadline, |earlier| earlier.min(deadline));
        self.deadline = Some(deadline);
        (0..self.shards.len()).for_each(|shard| self.tell(shard, Order::Stop { deadline }));
    }

    /// The first error is what the flow ends with.
    fn fail(&mut self, error: Error) {
        debug!(?error, "stopping");
        self.error.get_or_insert(error);
        self.stop(self.drain);
    }

    async fn event(&mut self, event: Event, requests: &mut Requests) {
        match event {
            Event::Assigned(streams) => self.assign(streams, requests).await,
            Event::Revoked(revocation) => self.revoke(revocation, requests).await,
            Event::Lost(partitions) => {
                info!(partitions = list(&partitions), "lost: what was not committed will be done again");
                for (shard, partitions) in self.by_shard(&partitions) {
                    self.tell(shard, Order::Lose(partitions));
                }
                self.is_assigned = !self.owners.is_empty();
                let handler = self.handler.clone();
                self.wait(handler.lost(&partitions), None, requests).await;
            }
        }
    }

    async fn assign(&mut self, streams: Vec<PartitionStream>, requests: &mut Requests) {
        self.is_assigned = true;
        let partitions: Vec<_> = streams.iter().map(|it| it.topic_partition().clone()).collect();
        info!(partitions = list(&partitions), "assigned");
        let handler = self.handler.clone();
        self.wait(handler.assigned(&partitions), None, requests).await;
        let mut parts: Vec<Vec<PartitionStream>> = self.shards.iter().map(|_| Vec::new()).collect();
        for stream in streams {
            let shard = self.least_loaded();
            self.owners.insert(stream.topic_partition().clone(), shard);
            parts[shard].push(stream);
        }
        for (shard, streams) in parts.into_iter().enumerate().filter(|it| !it.1.is_empty()) {
            self.tell(shard, Order::Assign(streams));
        }
    }

    fn least_loaded(&self) -> usize {
        let mut loads = vec![0; self.shards.len()];
        self.owners.values().for_each(|shard| loads[*shard] += 1);
        (0..loads.len()).min_by_key(|shard| loads[*shard]).expect("there is a shard")
    }

    /// Which shard has which of these, and no longer has them.
    fn by_shard(&mut self, partitions: &[TopicPartition]) -> BTreeMap<usize, Vec<TopicPartition>> {
        let mut parts = BTreeMap::<_, Vec<_>>::new();
        for partition in partitions {
            if let Some(shard) = self.owners.remove(partition) {
                parts.entry(shard).or_default().push(partition.clone());
            }
        }
        parts
    }

    async fn revoke(&mut self, revocation: Revocation, requests: &mut Requests) {
        info!(partitions = list(&revocation.partitions), "to be given back");
        self.revocations_made += 1;
        let (number, deadline) = (self.revocations_made, revocation.deadline);
        let parts = self.by_shard(&revocation.partitions);
        self.is_assigned = !self.owners.is_empty();
        let shards = parts.len();
        for (shard, partitions) in parts {
            self.tell(shard, Order::Revoke { number, partitions, deadline });
        }
        self.revocations.insert(number, Revoking { revocation, shards: shards.max(1) });
        if shards == 0 {
            self.released(number, requests).await;
        }
    }

    /// A shard is done with its part of a revocation; the last one gives it back.
    async fn released(&mut self, number: u64, requests: &mut Requests) {
        let Some(revoking) = self.revocations.get_mut(&number) else { return };
        revoking.shards -= 1;
        if revoking.shards > 0 {
            return;
        }
        let Revoking { revocation, .. } = self.revocations.remove(&number).expect("it was just there");
        let (handler, deadline) = (self.handler.clone(), revocation.deadline);
        self.wait(handler.revoked(&revocation.partitions), Some(deadline), requests).await;
        revocation.done();
    }

    async fn stats(&self) -> Stats {
        let mut asked = Vec::new();
        for shard in 0..self.shards.len() {
            let (asking, told) = oneshot::channel();
            self.tell(shard, Order::Tell(asking));
            asked.push(told);
        }
        let mut stats = Stats::default();
        for told in asked {
            // A shard that has ended has nothing to tell.
            let Ok(told) = told.await else { continue };
            stats.done += told.done;
            stats.in_flight += told.at_work;
            stats.waiting += told.waiting;
            stats.cut_short += told.cancelled;
            stats.partitions.extend(told.partitions);
        }
        stats.partitions.sort_by(|one, other| one.topic_partition.cmp(&other.topic_partition));
        stats
    }

    /// Stops if all that is there is done.
    async fn look(&mut self) {
        if !self.is_assigned || !self.revocations.is_empty() {
            return;
        }
        let stats = self.stats().await;
        if stats.partitions.len() == self.owners.len() && stats.lag() == Some(0) {
            info!(records = stats.done, "caught up");
            self.stop(self.drain);
        }
    }

    async fn leave(mut self) -> Result<Summary> {
        // Who waits for these waits for nothing any more.
        self.revocations.clear();
        let now = self.clock.now();
        let within = self.deadline.map_or(LEAVE, |deadline| deadline.since(now).max(LEAVE));
        let left = self.committer.leave(within).await;
        if let Some(error) = self.error {
            return Err(error);
        }
        left.map_err(|error| Error::client("leaving the group failed", error))?;
        if self.ran.cut_short > 0 {
            let records = self.ran.cut_short;
            let what = format!("{records} records were not finished in time and will be done again");
            return Err(Error::new(ErrorKind::Overdue, what));
        }
        Ok(Summary { done: self.ran.done })
    }
}

async fn handle<H: Handler>(handler: Arc<H>, context: Context, record: Record) -> crate::shard::Handled {
    handler.handle(context, record).await
}

/// Once a flush has failed, none of the flow works any more: what was lost then would be committed after a later one.
async fn flush<H: Handler>(
    handler: Arc<H>,
    failed: Arc<OnceLock<String>>,
) -> std::result::Result<(), crate::Failure> {
    if failed.get().is_none()
        && let Err(failure) = handler.flush().await
    {
        failed.get_or_init(|| failure.to_string());
    }
    failed.get().map_or(Ok(()), |failed| Err(crate::Failure::new(failed)))
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
