//! What every connection shares, whichever node it came to: all nodes are one.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{debug, info, warn};
use vltava_core::{Clock, Rng, cluster::NodeId};
use vltava_wire::{ErrorCode, Uuid};

use crate::{
    GroupOptions,
    coordinator::Coordinator,
    denied::Denied,
    faults::Faults,
    fetch_sessions::FetchSessions,
    ledger::topics::Topic,
    log::{self, Log, Position},
    memory::Memory,
    nodes::Nodes,
    topic_rules::{self, configs::Given},
};

/// A refused connection is worth a warning no more often than this; each is in the debug log.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// What every connection shares.
pub(crate) struct Node {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) memory: Memory,
    pub(crate) faults: Faults,
    /// Whether a topic that a client asks for is created by the way.
    pub(crate) auto_create_topics: bool,
    nodes: Mutex<Nodes>,
    /// Who moves leaders waits for those who do.
    pub(crate) moving: tokio::sync::Mutex<()>,
    /// From when on a refused connection is warned about again, in microseconds.
    warn_from: AtomicU64,
}

/// What its user says that concerns what every connection shares.
pub(crate) struct Settings {
    pub(crate) auto_create_topics: bool,
    pub(crate) groups: GroupOptions,
}

/// A topic to be, of which all but its configs was checked.
pub(crate) struct NewTopic<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    /// Who is to lead each partition, or none to have the nodes do it in turn.
    pub(crate) leaders: Vec<NodeId>,
    pub(crate) configs: Given,
}

impl Node {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        log: Log,
        mut rng: Rng,
        memory: Memory,
        faults: Faults,
        nodes: Nodes,
        settings: Settings,
    ) -> Self {
        let fetch_sessions = FetchSessions::new(Rng::new(rng.bits()));
        let coordinator = Arc::new(Coordinator::new(clock.clone(), log.clone(), settings.groups, rng));
        Self {
            clock,
            log,
            coordinator,
            fetch_sessions,
            memory,
            faults,
            auto_create_topics: settings.auto_create_topics,
            nodes: Mutex::new(nodes),
            moving: tokio::sync::Mutex::new(()),
            warn_from: AtomicU64::new(0),
        }
    }

    /// Which nodes there are, and which of them run.
    pub(crate) fn nodes(&self) -> Nodes {
        self.lock_nodes().clone()
    }

    /// The nodes as they are and, while this is held, as they stay. The log's lock may be taken under it.
    pub(crate) fn lock_nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().expect("nothing panics with this lock")
    }

    /// Who coordinates a group.
    pub(crate) fn coordinator_of(&self, group: &str) -> NodeId {
        self.lock_nodes().coordinator(group)
    }

    /// The topic that a request means: by its id from some version on, by its name before.
    pub(crate) fn find_topic(&self, name: &str, id: Uuid, by_id: bool) -> Result<Arc<Topic>, ErrorCode> {
        match by_id {
            true => self.log.topic_with_id(id).ok_or(ErrorCode::UnknownTopicId),
            false => self.log.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// Creates a topic. It is there at once; that it stays is certain when its position is settled.
    pub(crate) fn create_topic(&self, new: NewTopic<'_>) -> Result<(Arc<Topic>, Position), Denied> {
        let NewTopic { name, partitions, leaders, configs } = new;
        topic_rules::check_name(name)?;
        let partitions = topic_rules::partitions(partitions)?;
        let nodes = self.lock_nodes();
        let leader =
            |it: usize| leaders.get(it).map_or_else(|| nodes.first_leader(it), |it| nodes.successor(*it));
        let leaders: Vec<_> = (0..usize::from(partitions)).map(leader).collect();
        let created = self.log.create_topic(name, &leaders, &configs);
        drop(nodes);
        let (topic, position) = created.map_err(|refused| told(name, &refused))?;
        info!(topic = name, partitions, id = %topic.id, "topic created");
        self.coordinator.on_topic(name);
        Ok((topic, position))
    }

    /// Creates the topic that a client asked about.
    pub(crate) fn create_by_the_way(&self, name: &str) -> Result<Arc<Topic>, ErrorCode> {
        let new = NewTopic { name, partitions: -1, leaders: Vec::new(), configs: Given::new() };
        match self.create_topic(new) {
            Ok((topic, _)) => Ok(topic),
            // Somebody else was faster.
            Err(refused) if refused.code == ErrorCode::TopicAlreadyExists => {
                self.find_topic(name, Uuid::ZERO, false)
            }
            Err(refused) => Err(refused.code),
        }
    }

    /// Gives a topic what `make` makes of the configs it has at that moment, which are to be checked.
    pub(crate) fn configure_topic(
        &self,
        topic: &Topic,
        make: impl FnOnce(&Given) -> Result<Given, Denied>,
    ) -> Result<Position, Denied> {
        let mut configs = Given::new();
        let configured = self.log.configure_topic(topic.id, |given| {
            configs = make(given)?;
            Ok(configs.clone())
        });
        let position = configured.map_err(|refused| told(&topic.name, &refused))??;
        info!(topic = %topic.name, ?configs, "topic configured");
        Ok(position)
    }

    pub(crate) fn delete_topic(&self, topic: &Topic) -> Result<Position, Denied> {
        let position = self.log.delete_topic(topic.id).map_err(|refused| told(&topic.name, &refused))?;
        info!(topic = %topic.name, id = %topic.id, "topic deleted");
        self.coordinator.on_topic(&topic.name);
        Ok(position)
    }

    /// Completes when all before a position may be told to a client, or it is certain that it never may.
    pub(crate) fn settled(
        &self,
        position: Position,
    ) -> impl Future<Output = Result<(), ErrorCode>> + Send + 'static {
        let log = self.log.clone();
        async move {
            log.settled(position).await.map_err(|error| {
                debug!(%error, "a change was not settled");
                ErrorCode::KafkaStorageError
            })
        }
    }

    /// As [`Node::settled`], for all that the ledger says now.
    pub(crate) fn ledger_settled(&self) -> impl Future<Output = Result<(), ErrorCode>> + Send + 'static {
        self.settled(self.log.ledger_position())
    }

    /// Says why a peer is not served any longer.
    pub(crate) fn refused(&self, peer: &str, reason: &dyn std::fmt::Display) {
        debug!(%peer, %reason, "connection closed");
        let now = self.clock.now();
        let next = (now + WARNING_INTERVAL).0;
        let due = |from| (from <= now.0).then_some(next);
        if self.warn_from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            warn!(%peer, %reason, "connection closed; more like it are logged at level debug for a minute");
        }
    }
}

/// What a client is told when the log refuses a change to a topic.
fn told(topic: &str, refused: &log::Refused) -> Denied {
    let code = refused.code();
    match refused {
        log::Refused::Code(ErrorCode::TopicAlreadyExists) => {
            Denied::new(code, format!("topic {topic} exists"))
        }
        log::Refused::Code(ErrorCode::InvalidPartitions) => {
            let most = log::PARTITIONS_MAX;
            Denied::new(
                code,
                format!("with topic {topic} this broker would have more than {most} partitions"),
            )
        }
        log::Refused::Code(_) => Denied::new(code, format!("topic {topic} is not there")),
        log::Refused::Broken(error) => {
            warn!(%error, topic, "a topic cannot be changed");
            Denied::new(code, error.to_string())
        }
    }
}
