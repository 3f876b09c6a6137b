//! What a client knows of its cluster, kept fresh by one task, and how requests find the broker they are meant for.

mod call;
mod committed;
mod metadata;
mod offsets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use vltava_core::{
    Moment, Rng, TopicPartition,
    cluster::{Bootstrap, Leader, NodeId, Refresh, Route, Target, Topic, Unroutable, View},
};
use vltava_wire::ErrorCode;

pub(crate) use call::Attempt;
pub(crate) use committed::{GROUPS_SINCE, Told, told};

pub(crate) use offsets::Found;

use crate::{
    context::Context,
    error::{Broker, Error, ErrorKind, Result},
    net::{Address, Pool},
    news::{News, Reader},
    task::Task,
};

/// A cluster as one client sees it. Cheap to clone; the task that keeps it fresh ends with the last clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    inner: Arc<Inner>,
    _metadata: Arc<Task>,
}

struct Inner {
    context: Arc<Context>,
    /// For metadata, administration and producing.
    pool: Pool,
    /// What was configured.
    addresses: Vec<Address>,
    state: Mutex<State>,
    /// Wakes the metadata task: something is wanted, or turned out to be stale.
    wake: Notify,
    /// Tells all who wait that an answer, or a failure, has come.
    news: Arc<News>,
}

struct State {
    view: View,
    refresh: Refresh,
    route: Route,
    rng: Rng,
    /// How many wait for a topic that the broker may create.
    creating: usize,
    bootstrap: Bootstrap,
    /// What kept the latest question from being answered.
    failure: Option<Error>,
}

impl Cluster {
    /// Asks every address once, at most, of which there is one at least, and then keeps asking who is there.
    pub(crate) async fn connect(context: Arc<Context>, addresses: Vec<Address>) -> Result<Self> {
        let state = State {
            view: View::default(),
            refresh: Refresh::default(),
            route: Route::default(),
            rng: context.rng(),
            creating: 0,
            bootstrap: Bootstrap::new(addresses.len()),
            failure: None,
        };
        let inner = Arc::new(Inner {
            pool: Pool::new(context.clone()),
            addresses,
            state: Mutex::new(state),
            wake: Notify::new(),
            news: Arc::default(),
            context,
        });
        inner.bootstrap().await?;
        let task = Task::spawn(metadata::keep_fresh(inner.clone()));
        Ok(Self { inner, _metadata: Arc::new(task) })
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.inner.context
    }

    /// The connections for metadata, administration and producing.
    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    pub(crate) fn cluster_id(&self) -> Option<String> {
        self.inner.lock().view.cluster_id().map(str::to_owned)
    }

    /// Every broker there is.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.inner.lock().view.brokers().map(|broker| broker.id).collect()
    }

    /// Who leads a partition, if that is known.
    pub(crate) fn leader(&self, partition: &TopicPartition) -> Option<Leader> {
        self.inner.lock().view.leader(partition)
    }

    /// Looks at the latest view, under its lock.
    pub(crate) fn view<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.inner.lock().view)
    }

    /// Takes over what an answer told by the way.
    pub(crate) fn learn(&self, how: impl FnOnce(&mut View)) {
        let mut state = self.inner.lock();
        let before = state.view.revision();
        how(&mut state.view);
        let is_news = state.view.revision() != before;
        drop(state);
        if is_news {
            self.inner.news.tell();
        }
    }

    /// Has the next request to a broker make a new connection; what is under way on the old one may still be answered.
    pub(crate) fn reconnect(&self, pool: &Pool, node: NodeId) {
        if let Some(broker) = self.inner.broker(node) {
            pool.forget(&broker.address);
        }
    }

    /// An answer told by the way who leads a partition.
    pub(crate) fn on_leader(&self, partition: &TopicPartition, leader: Leader) {
        if self.inner.lock().view.on_leader(partition, leader) {
            self.inner.news.tell();
        }
    }

    /// Completes at every change; taken before looking, no change is missed.
    pub(crate) fn news(&self) -> Reader {
        self.inner.news.reader()
    }

    /// What is known has proved wrong.
    pub(crate) fn stale(&self) {
        self.inner.stale();
    }

    /// What is known has proved wrong: waits for news; false if none came by `deadline`.
    pub(crate) async fn renewed(&self, news: &mut Reader, deadline: Moment) -> bool {
        self.stale();
        self.inner.changed(news, deadline).await
    }

    /// Whether the latest question about the cluster was answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.inner.lock().bootstrap.is_answered()
    }

    /// Whether a broker is reached where this connection leads: it may have moved.
    pub(crate) fn is_reached_at(&self, node: NodeId, address: &Address) -> bool {
        self.inner.broker(node).is_none_or(|broker| broker.address == *address)
    }

    /// A broker did not answer: others go first, and what it led may have moved.
    pub(crate) fn lost(&self, node: NodeId) {
        self.inner.lost(node);
    }

    /// Keeps a topic in the view from now on, until the interest is dropped.
    pub(crate) fn interest(&self, topic: &Arc<str>) -> Interest {
        self.inner.lock().refresh.want(topic);
        self.inner.wake.notify_one();
        Interest { cluster: self.inner.clone(), topic: topic.clone() }
    }

    /// Keeps every topic in the view from now on, those to come included, until the interest is dropped.
    pub(crate) fn interest_in_all(&self) -> InterestInAll {
        self.inner.lock().refresh.want_all();
        self.inner.wake.notify_one();
        InterestInAll(self.inner.clone())
    }

    /// The topic once it is known, at `deadline` an error. It stays known as long as the interest is kept. `create`
    /// lets a broker create it that does so by itself.
    pub(crate) async fn topic(
        &self,
        name: &Arc<str>,
        create: bool,
        deadline: Moment,
    ) -> Result<(Topic, Interest)> {
        let interest = self.interest(name);
        let _creating = create.then(|| Creating::new(&self.inner));
        let mut news = self.news();
        loop {
            news.catch_up();
            if let Some(known) = self.known_topic(name, create)? {
                return Ok((known, interest));
            }
            if !self.inner.changed(&mut news, deadline).await {
                return Err(self.unknown_topic(name));
            }
        }
    }

    /// A topic that can be used; none if it is worth waiting for.
    fn known_topic(&self, name: &Arc<str>, wait: bool) -> Result<Option<Topic>> {
        let mut state = self.inner.lock();
        let Some(topic) = state.view.topic(name) else { return Ok(None) };
        match topic.error {
            _ if !topic.partitions.is_empty() => Ok(Some(topic.clone())),
            ErrorCode::UnknownTopicOrPartition if !wait => {
                drop(state);
                Err(self.unknown_topic(name))
            }
            code if code == ErrorCode::None || code.is_retriable() => {
                state.refresh.stale();
                self.inner.wake.notify_one();
                Ok(None)
            }
            code => Err(Error::refused(code).doing(format!("looking for topic {name}"))),
        }
    }

    fn unknown_topic(&self, name: &str) -> Error {
        let state = self.inner.lock();
        let unanswered = state.failure.clone();
        let unknown = Error::new(ErrorKind::UnknownTopic).what(format!("topic {name} is not there"));
        match unanswered {
            Some(failure) => failure.doing(format!("looking for topic {name}")),
            None => unknown.fix("create it, or let the broker do so (auto.create.topics.enable)"),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stale(&self) {
        self.lock().refresh.stale();
        self.wake.notify_one();
    }

    fn lost(&self, node: NodeId) {
        self.lock().route.on_unreachable(node);
        self.stale();
    }

    /// Waits for news; false if none came by `deadline`.
    async fn changed(&self, news: &mut Reader, deadline: Moment) -> bool {
        tokio::select! {
            biased;
            () = news.changed() => true,
            () = self.context.clock.sleep_until(deadline) => false,
        }
    }

    /// Where a broker is reached.
    fn broker(&self, node: NodeId) -> Option<Broker> {
        broker(&self.lock().view, node)
    }

    fn route(&self, target: &Target) -> Result<NodeId, Unroutable> {
        let state = &mut *self.lock();
        state.route.to(target, &state.view, &mut state.rng)
    }
}

/// Where a broker is reached.
fn broker(view: &View, node: NodeId) -> Option<Broker> {
    let known = view.broker(node)?;
    let address = Address { host: known.host.clone(), port: known.port };
    Some(Broker { node: Some(node.0), address })
}

/// Keeps a topic in the view.
pub(crate) struct Interest {
    cluster: Arc<Inner>,
    topic: Arc<str>,
}

impl Drop for Interest {
    fn drop(&mut self) {
        let state = &mut *self.cluster.lock();
        if state.refresh.release(&self.topic) {
            state.view.forget(&self.topic);
        }
    }
}

/// Keeps every topic in the view.
pub(crate) struct InterestInAll(Arc<Inner>);

impl Drop for InterestInAll {
    fn drop(&mut self) {
        let State { refresh, view, .. } = &mut *self.0.lock();
        refresh.release_all();
        let others: Vec<_> = view.topics().map(|it| it.0.clone()).filter(|it| !refresh.wants(it)).collect();
        others.iter().for_each(|it| view.forget(it));
    }
}

/// While it lives, a broker that creates topics by itself may do so.
struct Creating<'a>(&'a Inner);

impl<'a> Creating<'a> {
    fn new(cluster: &'a Inner) -> Self {
        cluster.lock().creating += 1;
        Self(cluster)
    }
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.0.lock().creating -= 1;
    }
}
