//! What is to be done with the records of some topics, said step by step.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use tokio::task::JoinHandle;
use vltava_client::{Client, Dial, StartOffset, config};
use vltava_core::work::Order;

use crate::{
    Context, Error, ErrorKind, Failure, Handler, Outcome, Record,
    config::{Commit, Prefetch, WORKERS, WORKERS_MAX},
    control::{Control, Summary},
    driver, end,
    error::Result,
    handler::Each,
};

/// A flow that is being described. [`Flow::each`] or [`Flow::handler`] completes it.
#[derive(Debug, Clone)]
#[must_use = "a flow does nothing until it is run or started"]
pub struct Flow {
    pub(crate) topics: Vec<String>,
    pub(crate) client: Option<Client>,
    pub(crate) brokers: Option<String>,
    pub(crate) dial: Option<Way>,
    pub(crate) group: Option<String>,
    pub(crate) workers: u32,
    pub(crate) shards: Option<u32>,
    pub(crate) order: Order,
    pub(crate) prefetch: Prefetch,
    pub(crate) commit: Commit,
    pub(crate) consumer: config::Consumer,
    pub(crate) drain: Duration,
    pub(crate) until_caught_up: bool,
}

/// A way to brokers that was handed in.
#[derive(Clone)]
pub(crate) struct Way(Arc<dyn Dial>);

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a way to brokers")
    }
}

/// A flow that knows what to do with a record.
#[derive(Debug)]
#[must_use = "a flow does nothing until it is run or started"]
pub struct Ready<H> {
    pub(crate) flow: Flow,
    pub(crate) handler: H,
}

/// A flow that was started. It goes on when this is dropped.
#[derive(Debug)]
pub struct FlowHandle {
    control: Control,
    task: JoinHandle<Result<Summary>>,
}

/// How long records at work get to finish when a flow is told to stop and nothing else is said.
pub const DRAIN: Duration = Duration::from_secs(30);

/// One topic, or several.
pub trait Topics {
    /// Their names.
    fn names(self) -> Vec<String>;
}

impl Topics for &str {
    fn names(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl Topics for String {
    fn names(self) -> Vec<String> {
        vec![self]
    }
}

impl<const N: usize> Topics for [&str; N] {
    fn names(self) -> Vec<String> {
        self.map(str::to_owned).into()
    }
}

impl Topics for Vec<String> {
    fn names(self) -> Vec<String> {
        self
    }
}

impl Flow {
    /// A flow over a topic, or several: `"orders"`, `["orders", "refunds"]`.
    pub fn from(topics: impl Topics) -> Self {
        Self {
            topics: topics.names(),
            client: None,
            brokers: None,
            dial: None,
            group: None,
            workers: WORKERS,
            shards: None,
            order: Order::Key,
            prefetch: Prefetch::default(),
            commit: Commit::default(),
            consumer: config::Consumer::default(),
            drain: DRAIN,
            until_caught_up: false,
        }
    }

    /// Runs on this client.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Connects to the cluster of these brokers: `a:9092,b:9092`.
    pub fn brokers(mut self, brokers: impl Into<String>) -> Self {
        self.brokers = Some(brokers.into());
        self
    }

    /// Another way to brokers than plain TCP, for a flow that was given no client.
    pub fn dial(mut self, dial: Arc<dyn Dial>) -> Self {
        self.dial = Some(Way(dial));
        self
    }

    /// The consumer group, which remembers what is done and shares the partitions out. Has no default.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// How many records are worked on at once, at most: 10.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Among how many tasks the partitions are shared out: one for each thread of the runtime. There are never more
    /// than workers.
    pub fn shards(mut self, shards: u32) -> Self {
        self.shards = Some(shards);
        self
    }

    /// What is worked on one after another: by key.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// How far ahead records are read.
    pub fn prefetch(mut self, prefetch: Prefetch) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// How often what is done is committed.
    pub fn commit(mut self, commit: Commit) -> Self {
        self.commit = commit;
        self
    }

    /// Where partitions start that have no committed offset: with their first record.
    pub fn start_at(mut self, start: StartOffset) -> Self {
        self.consumer.start = start;
        self
    }

    /// How records are fetched and how the member behaves in its group.
    pub fn consumer(mut self, consumer: config::Consumer) -> Self {
        self.consumer = consumer;
        self
    }

    /// How long records at work get to finish when a signal comes, or the flow fails: 30 seconds.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Ends by itself once everything that is there is done: every assigned partition has a lag of 0.
    pub fn until_caught_up(mut self) -> Self {
        self.until_caught_up = true;
        self
    }

    /// Does this with each record.
    pub fn each<C, F>(self, closure: C) -> Ready<impl Handler>
    where
        C: Fn(Context, Record) -> F + Send + Sync + 'static,
        F: Future<Output = std::result::Result<Outcome, Failure>> + Send + 'static,
    {
        self.handler(Each(closure))
    }

    /// Hands each record to this.
    pub fn handler<H: Handler>(self, handler: H) -> Ready<H> {
        Ready { flow: self, handler }
    }

    /// Refuses what makes no sense.
    fn check(&self) -> Result<()> {
        let wrong = match self {
            Self { topics, .. } if topics.is_empty() => "a flow needs a topic",
            Self { topics, .. } if topics.iter().any(String::is_empty) => "a topic's name is empty",
            Self { group: None, .. } => "a flow needs a group",
            Self { group: Some(group), .. } if group.is_empty() => "the group's name is empty",
            Self { workers: 0, .. } => "a flow needs a worker",
            Self { workers, .. } if *workers > WORKERS_MAX => "there are too many workers",
            Self { shards: Some(0), .. } => "a flow needs a shard",
            Self { prefetch: Prefetch { records: 0, .. }, .. } => "a prefetch of no records lets nothing in",
            Self { commit, .. } if commit.min_count == 0 => "a commit counts at least one record",
            Self { commit, .. } if commit.interval.is_zero() => "a commit's interval is nothing",
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Config, wrong))
    }

    async fn connect(&self) -> Result<Client> {
        match (&self.client, &self.brokers) {
            (Some(client), _) => Ok(client.clone()),
            (None, Some(brokers)) => {
                let client = Client::builder().brokers(brokers);
                let client = match &self.dial {
                    Some(Way(dial)) => client.dial(dial.clone()),
                    None => client,
                };
                client.connect().await.map_err(|error| Error::client("no connection to the cluster", error))
            }
            (None, None) => Err(Error::new(ErrorKind::Config, "a flow needs brokers, or a client")),
        }
    }
}

impl<H: Handler> Ready<H> {
    /// As [`Flow::until_caught_up`].
    pub fn until_caught_up(mut self) -> Self {
        self.flow.until_caught_up = true;
        self
    }

    /// Joins the group and starts. Needs a tokio runtime, on which the flow's tasks run.
    ///
    /// # Errors
    /// If something makes no sense, or the cluster cannot be reached.
    pub async fn start(self) -> Result<FlowHandle> {
        self.flow.check()?;
        let client = self.flow.connect().await?;
        let (control, task) = driver::start(client, self.flow, self.handler).await?;
        Ok(FlowHandle { control, task })
    }

    /// Starts, and runs until SIGINT or SIGTERM: then what is at work is finished and committed, and the group left.
    /// A second signal stops at once.
    ///
    /// # Errors
    /// As [`Ready::start`]; or if a record fails, by an error that names it; or if the cluster refuses to go on.
    pub async fn run(self) -> Result<Summary> {
        let drain = self.flow.drain;
        let handle = self.start().await?;
        let ended = end::all_until_signal(vec![handle], drain).await?;
        Ok(ended.into_iter().next().expect("each flow has its summary"))
    }
}

impl FlowHandle {
    /// For who watches or stops the flow while another waits for it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until the flow has ended.
    ///
    /// # Errors
    /// What ended it before its time.
    pub async fn wait(mut self) -> Result<Summary> {
        poll_fn(|context| self.poll_ended(context)).await
    }

    pub(crate) fn poll_ended(&mut self, context: &mut task::Context<'_>) -> Poll<Result<Summary>> {
        let ended = ready!(Pin::new(&mut self.task).poll(context));
        Poll::Ready(ended.unwrap_or_else(|error| Err(driver::died(error))))
    }

    /// Finishes what is at work, commits, leaves the group: all of it within this time.
    ///
    /// # Errors
    /// What ended it before its time; that handlers had to be cut short counts as such.
    pub async fn stop(self, within: Duration) -> Result<Summary> {
        self.control.stop(within);
        self.wait().await
    }
}
