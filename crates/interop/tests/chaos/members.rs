//! A group that reads everything, commits what it has read, and is asked in the end what it has committed.
//!
//! Not before: a coordinator that was stopped answers from what it knew, until it hears that it is no coordinator any
//! more. Kafka does not keep it from that, so what was committed seems to go back for a moment.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use vltava_client::{Client, Result, config};
use vltava_interop::Ends;
use vltava_sim::history::{Member, Recorder, What};

use crate::{readers::DRAINING, run::TOPIC};

const GROUP: &str = "audit";

/// So many are in the group.
const MEMBERS: usize = 2;

/// So many batches are committed together: a commit takes the cluster milliseconds, and in a long run one for every
/// batch would fall behind for ever.
const TOGETHER: usize = 50;

/// What was read is committed after this, if no more comes.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two questions what the group has committed.
const ASKING: Duration = Duration::from_millis(250);

/// A member that was told of an error joins again after this.
const RETRY: Duration = Duration::from_millis(100);

/// The members, each with a client of its own.
pub(crate) struct Members {
    tasks: JoinSet<()>,
}

impl Members {
    /// Begins to read.
    pub(crate) async fn start(recorder: &Recorder, brokers: &str) -> Self {
        let mut tasks = JoinSet::new();
        for number in 0..MEMBERS {
            let client = Client::connect(brokers).await.expect("the cluster answers");
            tasks.spawn(read(recorder.clone(), client, format!("member{number}")));
        }
        Self { tasks }
    }

    /// From now on it is asked again and again what the group has committed.
    pub(crate) fn watch(&mut self, recorder: &Recorder, client: &Client) {
        self.tasks.spawn(watch(recorder.clone(), client.clone()));
    }

    /// Waits until the group has committed everything, or had the time for it, and stops.
    pub(crate) async fn stop(mut self, recorder: &Recorder, client: &Client, ends: &Ends) {
        // Whether it has read all of it is judged with the rest.
        let _ = timeout(DRAINING, until_committed(client, ends)).await;
        recorder.note(What::Drained { audience: GROUP.into() });
        self.tasks.abort_all();
        while let Some(done) = self.tasks.join_next().await {
            assert!(done.is_err_and(|it| it.is_cancelled()), "a member does not end before it is told");
        }
    }
}

/// A member for ever. After an error it is another one, under another name.
async fn read(recorder: Recorder, client: Client, name: String) {
    for life in 0.. {
        let Err(_) = live(&recorder, &client, format!("{name}_{life}")).await else { return };
        sleep(RETRY).await;
    }
}

async fn live(recorder: &Recorder, client: &Client, name: String) -> Result<()> {
    let config = config::Consumer {
        session_timeout: Duration::from_secs(10),
        heartbeat_interval: Duration::from_secs(1),
        ..config::Consumer::default()
    };
    let mut member = Member::subscribe(recorder, name, client, config, (GROUP, &[TOPIC])).await?;
    let (mut last, mut batches) = (BTreeMap::new(), 0);
    loop {
        if let Ok(batch) = timeout(PAUSE, member.next()).await {
            let Some(batch) = batch? else { return Ok(()) };
            last.insert(batch.topic_partition().clone(), batch);
            batches += 1;
            if batches < TOGETHER {
                continue;
            }
        }
        for batch in std::mem::take(&mut last).into_values() {
            // What is not committed is read again by whoever has the partition next.
            let _ = member.commit(&batch).await;
        }
        batches = 0;
    }
}

async fn watch(recorder: Recorder, client: Client) {
    loop {
        sleep(ASKING).await;
        let asked = recorder.now().0;
        // While there is no coordinator there is nobody to tell.
        let Ok(committed) = client.admin().committed_offsets(GROUP).await else { continue };
        for (partition, it) in committed {
            let (group, partition) = (GROUP.to_owned(), (&partition).into());
            recorder.note(What::Committed { group, partition, offset: it.offset, asked });
        }
    }
}

async fn until_committed(client: &Client, ends: &Ends) {
    loop {
        if let Ok(committed) = client.admin().committed_offsets(GROUP).await
            && ends.iter().all(|(at, end)| *end == 0 || committed.get(at).is_some_and(|it| it.offset >= *end))
        {
            return;
        }
        sleep(ASKING).await;
    }
}
