//! The latest that is known of brokers, topics and leaders.
//!
//! Brokers answer from what each knows itself, so answers may be older than what came before. A leader's epoch
//! tells which is newer: within one life of a topic (its id) the view never goes back to an earlier epoch.

use std::{collections::BTreeMap, sync::Arc};

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic},
};

use super::{
    ids::{NodeId, TopicPartition},
    refresh::Ask,
};

/// Where a broker says it can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: NodeId,
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Where it stands, if it says so.
    pub rack: Option<String>,
}

/// A topic as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Zero where brokers are too old for topic ids.
    pub id: Uuid,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
    /// What the latest answer said of the topic as a whole. What was known before an error is kept: a topic that
    /// is unknown to one broker for a moment is not gone.
    pub error: ErrorCode,
    /// By number, from 0.
    pub partitions: Vec<Partition>,
}

/// A partition as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// None while there is no leader.
    pub leader: Option<NodeId>,
    /// -1 where brokers are too old for leader epochs.
    pub leader_epoch: i32,
    /// The brokers that have a copy.
    pub replicas: Vec<NodeId>,
    /// Those whose copy is complete.
    pub in_sync: Vec<NodeId>,
}

/// Who leads a partition, and since which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// The broker.
    pub node: NodeId,
    /// -1 where brokers are too old for leader epochs.
    pub epoch: i32,
}

/// The latest that is known of a cluster.
#[derive(Debug, Default, Clone)]
pub struct View {
    cluster_id: Option<String>,
    controller: Option<NodeId>,
    brokers: BTreeMap<NodeId, Broker>,
    topics: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<Uuid, Arc<str>>,
    revision: u64,
}

impl View {
    /// Takes an answer to `ask`.
    pub fn on_metadata(&mut self, ask: &Ask, answer: MetadataResponse) {
        self.revision += 1;
        if answer.cluster_id.is_some() {
            self.cluster_id = answer.cluster_id;
        }
        self.controller = node(answer.controller_id);
        // A broker that is just starting may answer with no brokers at all, which would leave nobody to ask.
        if !answer.brokers.is_empty() {
            self.brokers.clear();
        }
        for it in answer.brokers {
            self.on_broker(it.node_id, it.host, it.port, it.rack);
        }
        if *ask == Ask::All {
            let named = |topic: &Arc<str>| answer.topics.iter().any(|it| it.name.as_deref() == Some(topic));
            let gone: Vec<_> = self.topics.keys().filter(|it| !named(it)).cloned().collect();
            gone.iter().for_each(|it| self.forget(it));
        }
        for topic in answer.topics {
            self.on_topic(topic);
        }
    }

    /// Takes the address of a broker, as answers of Produce and Fetch give it beside a new leader (KIP-951).
    pub fn on_broker(&mut self, id: i32, host: String, port: i32, rack: Option<String>) {
        let (Some(id), Ok(port)) = (node(id), u16::try_from(port)) else { return };
        let told = Broker { id, host, port, rack };
        if self.brokers.get(&id) != Some(&told) {
            self.brokers.insert(id, told);
            self.revision += 1;
        }
    }

    /// Takes a leader that an answer of Produce or Fetch named; says whether that was news.
    pub fn on_leader(&mut self, partition: &TopicPartition, leader: Leader) -> bool {
        let Some(known) = self.partition_mut(partition) else { return false };
        let news = leader.epoch > known.leader_epoch;
        if news {
            known.leader = Some(leader.node);
            known.leader_epoch = leader.epoch;
            self.revision += 1;
        }
        news
    }

    /// Drops what is known of a topic, because nobody is interested in it, or because it was deleted.
    pub fn forget(&mut self, topic: &str) {
        if let Some(known) = self.topics.remove(topic) {
            self.names.remove(&known.id);
            self.revision += 1;
        }
    }

    /// Grows with every change, so that others can tell whether theirs is the latest.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the cluster calls itself.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// The broker that creates and deletes topics.
    pub fn controller(&self) -> Option<NodeId> {
        self.controller
    }

    /// Every broker, by number.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Broker> {
        self.brokers.values()
    }

    /// A broker.
    pub fn broker(&self, id: NodeId) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// Every topic that was asked for, by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Topic)> {
        self.topics.iter()
    }

    /// A topic.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// The name that belongs to a topic's id. Ids are not used again: the id of a topic that was recreated is gone.
    pub fn name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    /// A partition.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&Partition> {
        let number = usize::try_from(partition.partition).ok()?;
        self.topics.get(&partition.topic)?.partitions.get(number)
    }

    /// Who leads a partition, if anybody does and its address is known.
    pub fn leader(&self, partition: &TopicPartition) -> Option<Leader> {
        let known = self.partition(partition)?;
        let node = known.leader.filter(|it| self.brokers.contains_key(it))?;
        Some(Leader { node, epoch: known.leader_epoch })
    }

    fn partition_mut(&mut self, partition: &TopicPartition) -> Option<&mut Partition> {
        let number = usize::try_from(partition.partition).ok()?;
        self.topics.get_mut(&partition.topic)?.partitions.get_mut(number)
    }

    fn on_topic(&mut self, answer: MetadataResponseTopic) {
        let Some(name) = answer.name else { return };
        let name: Arc<str> = name.into();
        if answer.error_code != 0 && answer.partitions.is_empty() {
            let known = self.topics.entry(name).or_insert_with(Topic::unseen);
            known.error = answer.error_code.into();
            return;
        }
        let known = self.topics.remove(&name).unwrap_or_else(Topic::unseen);
        self.names.remove(&known.id);
        let same_life =
            known.id == answer.topic_id || known.id == Uuid::ZERO || answer.topic_id == Uuid::ZERO;
        let before = if same_life { known.partitions } else { Vec::new() };
        let topic = Topic {
            id: if answer.topic_id == Uuid::ZERO { known.id } else { answer.topic_id },
            is_internal: answer.is_internal,
            error: answer.error_code.into(),
            partitions: merged(before, answer.partitions),
        };
        if topic.id != Uuid::ZERO {
            self.names.insert(topic.id, name.clone());
        }
        self.topics.insert(name, topic);
    }
}

impl Topic {
    fn unseen() -> Self {
        Self { id: Uuid::ZERO, is_internal: false, error: ErrorCode::None, partitions: Vec::new() }
    }
}

/// The newer of what was known and what was answered, partition by partition.
fn merged(before: Vec<Partition>, mut answer: Vec<MetadataResponsePartition>) -> Vec<Partition> {
    answer.sort_by_key(|it| it.partition_index);
    let mut merged: Vec<Partition> = Vec::new();
    for it in answer {
        // Partitions are numbered from 0 without holes; anything else in an answer is not believed.
        if usize::try_from(it.partition_index) != Ok(merged.len()) {
            continue;
        }
        let known = before.get(merged.len());
        let answered = Partition {
            leader: node(it.leader_id),
            leader_epoch: it.leader_epoch,
            replicas: it.replica_nodes.into_iter().map(NodeId).collect(),
            in_sync: it.isr_nodes.into_iter().map(NodeId).collect(),
        };
        let stale =
            known.filter(|known| answered.leader_epoch != -1 && answered.leader_epoch < known.leader_epoch);
        merged.push(stale.cloned().unwrap_or(answered));
    }
    // Partitions are never taken away from a living topic: an answer that has fewer is old.
    merged.extend(before.into_iter().skip(merged.len()));
    merged
}

fn node(id: i32) -> Option<NodeId> {
    (id >= 0).then_some(NodeId(id))
}

#[cfg(test)]
mod tests {
    use vltava_wire::messages::MetadataResponseBroker;

    use super::*;

    fn broker(node_id: i32) -> MetadataResponseBroker {
        MetadataResponseBroker { node_id, host: format!("host-{node_id}"), port: 9092, ..Default::default() }
    }

    /// An answer with brokers 1 and 2 and topic `orders`, whose partitions have these leaders and epochs.
    fn answer(topic_id: u128, leaders: &[(i32, i32)]) -> MetadataResponse {
        let partition =
            |(number, &(leader_id, leader_epoch)): (usize, &(i32, i32))| MetadataResponsePartition {
                partition_index: number as i32,
                leader_id,
                leader_epoch,
                ..Default::default()
            };
        let topic = MetadataResponseTopic {
            name: Some("orders".into()),
            topic_id: Uuid(topic_id),
            partitions: leaders.iter().enumerate().map(partition).collect(),
            ..Default::default()
        };
        MetadataResponse { brokers: vec![broker(1), broker(2)], topics: vec![topic], ..Default::default() }
    }

    fn failed(error: ErrorCode) -> MetadataResponse {
        let mut answer = answer(0, &[]);
        answer.topics[0].error_code = error.code();
        answer
    }

    fn view(answers: impl IntoIterator<Item = MetadataResponse>) -> View {
        let mut view = View::default();
        answers.into_iter().for_each(|it| view.on_metadata(&Ask::All, it));
        view
    }

    fn leader_of(view: &View, partition: i32) -> Option<(i32, i32)> {
        view.leader(&TopicPartition::new("orders", partition)).map(|it| (it.node.0, it.epoch))
    }

    #[test]
    fn an_older_leader_epoch_changes_nothing() {
        let view = view([answer(7, &[(1, 5)]), answer(7, &[(2, 4)])]);
        assert_eq!(leader_of(&view, 0), Some((1, 5)));
    }

    #[test]
    fn a_newer_leader_epoch_moves_the_leader() {
        let view = view([answer(7, &[(1, 5)]), answer(7, &[(2, 6)])]);
        assert_eq!(leader_of(&view, 0), Some((2, 6)));
    }

    #[test]
    fn a_recreated_topic_starts_its_epochs_again() {
        let view = view([answer(7, &[(1, 5), (1, 5)]), answer(8, &[(2, 0)])]);
        assert_eq!(leader_of(&view, 0), Some((2, 0)));
        assert_eq!(leader_of(&view, 1), None, "the earlier topic had two partitions");
        assert_eq!(view.name(Uuid(7)), None);
        assert_eq!(view.name(Uuid(8)).map(|it| &**it), Some("orders"));
    }

    #[test]
    fn brokers_without_epochs_are_believed() {
        let view = view([answer(0, &[(1, -1)]), answer(0, &[(2, -1)])]);
        assert_eq!(leader_of(&view, 0), Some((2, -1)));
    }

    #[test]
    fn a_partition_without_a_leader_has_none() {
        let view = view([answer(7, &[(1, 5)]), answer(7, &[(-1, 6)])]);
        assert_eq!(leader_of(&view, 0), None);
    }

    #[test]
    fn a_leader_without_an_address_is_no_leader() {
        let view = view([answer(7, &[(3, 5)])]);
        assert_eq!(leader_of(&view, 0), None);
    }

    #[test]
    fn a_topic_that_is_unknown_for_a_moment_keeps_what_was_known() {
        let view = view([answer(7, &[(1, 5)]), failed(ErrorCode::UnknownTopicOrPartition)]);
        assert_eq!(leader_of(&view, 0), Some((1, 5)));
        assert_eq!(view.topic("orders").map(|it| it.error), Some(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(view.name(Uuid(7)).map(|it| &**it), Some("orders"));
    }

    #[test]
    fn a_topic_missing_among_all_is_gone() {
        let mut view = view([answer(7, &[(1, 5)])]);
        view.on_metadata(&Ask::All, MetadataResponse::default());
        assert!(view.topic("orders").is_none());
        assert_eq!(view.name(Uuid(7)), None);
    }

    #[test]
    fn a_topic_that_was_not_asked_for_stays() {
        let mut view = view([answer(7, &[(1, 5)])]);
        view.on_metadata(&Ask::Topics(vec!["other".into()]), MetadataResponse::default());
        assert_eq!(leader_of(&view, 0), Some((1, 5)));
    }

    #[test]
    fn brokers_that_are_others_at_every_look_do_not_add_up() {
        let others = |look: i32| MetadataResponse {
            brokers: (look * 10..look * 10 + 10).map(broker).collect(),
            ..answer(7, &[(look * 10, look)])
        };
        let view = view((0..1_000).map(others));
        assert_eq!(view.brokers().len(), 10);
        assert_eq!(leader_of(&view, 0), Some((9_990, 999)));
    }

    #[test]
    fn an_answer_without_brokers_leaves_those_that_are_known() {
        let view = view([answer(7, &[(1, 5)]), MetadataResponse::default()]);
        assert_eq!(view.brokers().len(), 2);
    }

    #[test]
    fn partitions_do_not_vanish_from_a_living_topic() {
        let view = view([answer(7, &[(1, 5), (2, 5)]), answer(7, &[(1, 5)])]);
        assert_eq!(leader_of(&view, 1), Some((2, 5)));
    }

    #[test]
    fn a_leader_named_by_the_way_counts_if_it_is_newer() {
        let mut view = view([answer(7, &[(1, 5)])]);
        let orders = TopicPartition::new("orders", 0);
        assert!(!view.on_leader(&orders, Leader { node: NodeId(2), epoch: 5 }));
        assert!(view.on_leader(&orders, Leader { node: NodeId(2), epoch: 6 }));
        assert_eq!(leader_of(&view, 0), Some((2, 6)));
    }

    #[test]
    fn a_broker_named_by_the_way_is_news_once() {
        let mut view = view([answer(7, &[(3, 5)])]);
        let named = |view: &mut View, port| view.on_broker(3, "host-3".into(), port, None);
        for (port, news) in [(9092, true), (9092, false), (9093, true), (-1, false)] {
            let before = view.revision();
            named(&mut view, port);
            assert_eq!(view.revision() > before, news, "{port}");
        }
        assert_eq!(leader_of(&view, 0), Some((3, 5)), "now its leader can be reached");
    }

    #[test]
    fn a_topic_or_a_partition_that_is_twice_in_an_answer_is_known_once() {
        let mut answer = answer(7, &[(1, 5), (2, 5)]);
        let twice = answer.topics[0].partitions[0].clone();
        answer.topics[0].partitions.push(MetadataResponsePartition { leader_id: 2, ..twice });
        answer.topics.push(MetadataResponseTopic { partitions: Vec::new(), ..answer.topics[0].clone() });
        let view = view([answer]);
        assert_eq!(view.topic("orders").map(|it| it.partitions.len()), Some(2));
        assert_eq!(leader_of(&view, 0), Some((1, 5)));
        assert_eq!(leader_of(&view, 1), Some((2, 5)));
    }

    #[test]
    fn partitions_numbered_with_holes_or_below_zero_are_not_believed() {
        let mut odd = answer(7, &[(1, 5), (2, 5), (2, 5)]);
        odd.topics[0].partitions[0].partition_index = -1;
        odd.topics[0].partitions[1].partition_index = i32::MAX;
        odd.topics[0].partitions[2].partition_index = 0;
        let view = view([odd]);
        assert_eq!(view.topic("orders").map(|it| it.partitions.len()), Some(1));
    }
}
