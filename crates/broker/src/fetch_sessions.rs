//! The fetch sessions of all connections; what they are is decided in `core/fetch/sessions`.

use std::sync::{Mutex, MutexGuard};

use vltava_core::{
    Moment, Rng,
    fetch::sessions::{Handle, Sessions},
};
use vltava_wire::{
    ErrorCode,
    messages::{FetchRequest, FetchResponse, fetch::FetchTopic},
};

pub(crate) struct FetchSessions(Mutex<(Sessions, Rng)>);

impl FetchSessions {
    pub(crate) fn new(chance: Rng) -> Self {
        Self(Mutex::new((Sessions::default(), chance)))
    }

    /// See `Sessions::on_request`.
    pub(crate) fn on_request(
        &self,
        now: Moment,
        by_id: bool,
        request: &mut FetchRequest,
    ) -> Result<Handle, ErrorCode> {
        self.lock().0.on_request(now, by_id, request)
    }

    /// See `Sessions::on_response`.
    pub(crate) fn on_response(&self, now: Moment, handle: Handle, response: FetchResponse) -> FetchResponse {
        let (sessions, chance) = &mut *self.lock();
        sessions.on_response(now, chance, handle, response)
    }

    /// See `Sessions::preview`.
    pub(crate) fn preview(&self, request: &FetchRequest) -> Vec<FetchTopic> {
        self.lock().0.preview(request)
    }

    fn lock(&self) -> MutexGuard<'_, (Sessions, Rng)> {
        self.0.lock().expect("nothing panics with this lock")
    }
}
