//! What goes on beside the user of a member: finished records are committed now and then, and it is looked whether
//! the user is stuck.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tracing::{debug, warn};
use vltava_core::{
    Moment,
    group::{Liveness, Verdict},
};

use super::{
    Commit, Committer, Notice,
    events::Order,
    notice::Teller,
    progress::{Due, Progress},
};
use crate::{alarm::Alarm, config, context::Context, error::Result, net::BoxFuture};

/// The task beside a member's user.
pub(super) struct Keeper {
    context: Arc<Context>,
    committer: Committer,
    progress: Arc<Progress>,
    teller: Teller,
    liveness: Liveness,
    /// How often what is finished is committed, if that is done by itself; and when it is next.
    auto_commit: Option<(Duration, Moment)>,
    /// The commit under way: the next one waits for it.
    commit: Option<BoxFuture<(Vec<Commit>, Result<()>)>>,
    alarm: Alarm,
}

impl Keeper {
    pub(super) fn new(committer: Committer, teller: Teller, config: &config::Consumer) -> Self {
        let (context, progress) = (committer.context().clone(), committer.progress().clone());
        let interval = config.auto_commit_interval;
        Self {
            auto_commit: config.auto_commit.then(|| (interval, context.now() + interval)),
            liveness: Liveness::new(config.unfinished_max),
            commit: None,
            alarm: Alarm::new(context.clock.clone()),
            context,
            committer,
            progress,
            teller,
        }
    }

    /// Runs until it is aborted.
    pub(super) async fn run(mut self) {
        loop {
            let now = self.context.now();
            self.begin_commit(now);
            self.judge(now).await;
            let commit = self.auto_commit.filter(|_| self.commit.is_none()).map(|it| it.1);
            let deadline = commit.into_iter().chain(self.liveness.deadline()).min();
            tokio::select! {
                biased;
                (commits, outcome) = done(&mut self.commit) => self.committed(commits, outcome),
                () = self.progress.changed() => (),
                () = self.alarm.wait(deadline) => (),
            }
        }
    }

    fn begin_commit(&mut self, now: Moment) {
        if self.commit.is_some() {
            return;
        }
        let which = match &mut self.auto_commit {
            Some((interval, next)) if *next <= now => {
                *next = now + *interval;
                Due::All
            }
            _ => Due::Urgent,
        };
        let due = self.progress.due(which);
        if !due.is_empty() {
            let committer = self.committer.clone();
            self.commit = Some(Box::pin(async move {
                let outcome = committer.commit(due.clone()).await;
                (due, outcome)
            }));
        }
    }

    fn committed(&mut self, commits: Vec<Commit>, outcome: Result<()>) {
        self.commit = None;
        self.teller.tell(match outcome {
            Ok(()) => Notice::Committed { commits },
            Err(error) => {
                debug!(%error, "a commit that nobody waits for failed");
                Notice::CommitFailed { commits, error: error.kind() }
            }
        });
    }

    /// Has the partitions of a user that is stuck go to others, until it is back.
    async fn judge(&mut self, now: Moment) {
        if self.liveness.is_stuck() {
            if self.progress.is_away() {
                return;
            }
            self.liveness.on_back();
            return self.committer.say(Order::Back).await;
        }
        let in_hand: BTreeMap<_, _> = self.progress.in_hand();
        match self.liveness.look(now, &in_hand) {
            Some(Verdict::Slow(it)) => {
                warn!(partition = %it.partition, offset = it.offset, age = ?it.age, "a record takes long");
                self.teller.tell(Notice::Slow {
                    topic_partition: it.partition,
                    offset: it.offset,
                    age: it.age,
                });
            }
            Some(Verdict::Stuck(it)) => {
                warn!(partition = %it.partition, offset = it.offset, age = ?it.age, "a record takes too long");
                self.progress.went_away();
                self.teller.tell(Notice::Stuck {
                    topic_partition: it.partition,
                    offset: it.offset,
                    age: it.age,
                });
                self.committer.say(Order::Away).await;
            }
            None => (),
        }
    }
}

/// Completes with what came of a commit; never without one. Cancel-safe.
async fn done(commit: &mut Option<BoxFuture<(Vec<Commit>, Result<()>)>>) -> (Vec<Commit>, Result<()>) {
    match commit {
        Some(commit) => commit.as_mut().await,
        None => std::future::pending().await,
    }
}
