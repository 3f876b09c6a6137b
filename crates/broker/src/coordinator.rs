//! The shell around the machine of all consumer groups: a lock, the requests that wait in it, its deadlines.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::{Notify, oneshot, watch};
use vltava_core::{
    Clock, Moment, Rng,
    group::coordinator::{self, Groups, Join, Limits, Output, Token},
};
use vltava_wire::{
    ErrorCode,
    messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse},
};

/// All groups of this node.
pub(crate) struct Coordinator {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Its deadline came closer.
    wake: Notify,
}

struct State {
    groups: Groups,
    waiting: BTreeMap<Token, Waiting>,
    next_token: u64,
}

/// Where the answer to a request goes.
enum Waiting {
    Join(oneshot::Sender<JoinGroupResponse>),
    Sync(oneshot::Sender<SyncGroupResponse>),
}

impl Coordinator {
    pub(crate) fn new(clock: Arc<dyn Clock>, rng: Rng) -> Self {
        let groups = Groups::new(Limits::default(), rng);
        let state = State { groups, waiting: BTreeMap::new(), next_token: 0 };
        Self { clock, state: Mutex::new(state), wake: Notify::new() }
    }

    /// A member joins. The group learns if the answer is dropped unread.
    pub(crate) fn join(
        self: &Arc<Self>,
        version: i16,
        client_id: String,
        client_host: String,
        request: JoinGroupRequest,
    ) -> Parked<JoinGroupResponse> {
        self.park(Waiting::Join, |groups, now, token| {
            groups.on_join(now, Join { token, version, client_id, client_host, request });
        })
    }

    /// A member asks for its assignment. The group learns if the answer is dropped unread.
    pub(crate) fn sync(self: &Arc<Self>, request: SyncGroupRequest) -> Parked<SyncGroupResponse> {
        self.park(Waiting::Sync, |groups, now, token| groups.on_sync(now, token, request))
    }

    fn park<T>(
        self: &Arc<Self>,
        waiting: fn(oneshot::Sender<T>) -> Waiting,
        ask: impl FnOnce(&mut Groups, Moment, Token),
    ) -> Parked<T> {
        let (sender, receiver) = oneshot::channel();
        let token = self.with(|state, now| {
            let token = Token(state.next_token);
            state.next_token += 1;
            state.waiting.insert(token, waiting(sender));
            ask(&mut state.groups, now, token);
            token
        });
        Parked { token, receiver, coordinator: self.clone() }
    }

    /// Asks the groups what needs no waiting.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Groups, Moment) -> T) -> T {
        self.with(|state, now| ask(&mut state.groups, now))
    }

    /// Wakes the groups at their deadlines until the broker stops.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let deadline = self.with(|state, _| state.groups.deadline());
            let sleep = self.clock.sleep_until(deadline.unwrap_or(Moment(u64::MAX)));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.wake.notified() => (),
                () = sleep => (),
            }
        }
    }

    /// Does something with the groups, then sends what they answer.
    fn with<T>(&self, act: impl FnOnce(&mut State, Moment) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state.lock().expect("no group panics");
        let before = state.groups.deadline();
        let result = act(&mut state, now);
        while let Some(output) = state.groups.poll(now, self.clock.wall()) {
            let Output::Reply(reply) = output else { continue };
            let waiting = state.waiting.remove(&reply.token);
            // Who asked may be gone meanwhile; then there is nobody to tell.
            match (waiting, reply.answer) {
                (Some(Waiting::Join(sender)), coordinator::Answer::Join(response)) => {
                    drop(sender.send(response))
                }
                (Some(Waiting::Sync(sender)), coordinator::Answer::Sync(response)) => {
                    drop(sender.send(response))
                }
                (Some(_), _) => unreachable!("a join was answered as a sync, or a sync as a join"),
                (None, _) => (),
            }
        }
        let after = state.groups.deadline();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.wake.notify_one();
        }
        result
    }
}

/// A request that waits for its group.
pub(crate) struct Parked<T> {
    token: Token,
    receiver: oneshot::Receiver<T>,
    coordinator: Arc<Coordinator>,
}

impl<T> Parked<T> {
    /// The answer, or why there is none: the broker stops.
    pub(crate) async fn answer(mut self) -> Result<T, ErrorCode> {
        (&mut self.receiver).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)
    }
}

impl<T> Drop for Parked<T> {
    fn drop(&mut self) {
        let token = self.token;
        self.coordinator.with(|state, now| {
            if state.waiting.remove(&token).is_some() {
                state.groups.on_gone(now, token);
            }
        });
    }
}
