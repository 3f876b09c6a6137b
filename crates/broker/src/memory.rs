//! Memory for requests: what all connections together may hold, and how one waits that needs more.
//!
//! It has three parts that are never lent to each other. A connection gets a small part when it opens, and its small
//! requests need nothing else: whatever others do, a heartbeat or a fetch of a few partitions gets through. The bytes
//! of a longer frame are taken from the second part before it is read, all at once; what it becomes when it is decoded
//! comes from the connection's own part, or if it is much, from the third. How much it becomes is known only
//! afterwards, so little is waited for at first, and more if that was too little: requests that wait for batches hold
//! what they became, and a request that needs as little must not wait until they are answered.
//!
//! Nobody waits for ever. Who waits for room for a frame holds none for a frame that is still to come; who waits for
//! room to decode holds a frame, but nobody who holds decoded requests waits for frames: they are answered, or time
//! out, without anything more being read. In each part whoever waits longest comes first, so a large request is not
//! starved by small ones. A frame that holds room and does not arrive loses it, see `connection`.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use vltava_wire::{Budget, OverLimit, Permit};

/// What a connection holds from its first byte on: this much for buffers and tasks …
const CONNECTION_BYTES: usize = 32 << 10;

/// … and this much for small requests: a fetch of 200 partitions, or a batch of the size that producers have by
/// default, decoded.
const SMALL_REQUESTS_BYTES: usize = 32 << 10;

/// No request is decoded into more, however much is free: commits for every partition of a frame as long as one may
/// be take five times its bytes, 40 MiB.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// What a request is decoded into that is too much for the connection's own memory: at first the room for this is
/// waited for …
const REQUEST_BYTES_FIRST: usize = 128 << 10;

/// … and each time that was too little, for so many times more. Little is decoded in vain, and hardly more room is
/// waited for than there is use for.
const REQUEST_GROWTH: usize = 4;

/// How much of the memory for requests is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestMemory {
    /// Bytes held now.
    pub used: usize,
    /// The most that was ever held at once.
    pub peak: usize,
    /// The most that may be.
    pub max: usize,
}

/// The memory of all connections.
pub(crate) struct Memory {
    all: Budget,
    connections: Budget,
    frames: Pool,
    decoded: Pool,
}

/// What is one connection's own, for as long as it is open.
pub(crate) struct Share {
    small: Budget,
    _held: Permit,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let all = Budget::new("memory for requests", bytes);
        // Half for the many, three eighths for frames: by default, one of the longest and much beside it.
        let (connections, frames) = (bytes / 2, bytes / 8 * 3);
        let decoded = bytes - connections - frames;
        Self {
            connections: all.share("memory for connections", connections),
            frames: Pool::new(&all, "memory for frames", frames),
            decoded: Pool::new(&all, "memory for decoded requests", decoded),
            all,
        }
    }

    /// What a new connection holds, or why there cannot be one more.
    pub(crate) fn share(&self) -> Result<Share, OverLimit> {
        let held = self.connections.take(CONNECTION_BYTES + SMALL_REQUESTS_BYTES)?;
        let small = Budget::new("memory for a connection's small requests", SMALL_REQUESTS_BYTES);
        Ok(Share { small, _held: held })
    }

    /// Room for a frame, waited for.
    pub(crate) async fn frame(&self, bytes: usize) -> Result<Permit, OverLimit> {
        self.frames.room(bytes).await
    }

    /// Rooms to decode a request in, each waited for when it is its turn: from little to what suffices for any that
    /// is let in.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = impl Future<Output = Permit>> {
        let most = REQUEST_BYTES_MAX.min(self.decoded.budget.bytes_max());
        let larger = move |bytes: &usize| (*bytes < most).then(|| (bytes * REQUEST_GROWTH).min(most));
        let sizes = std::iter::successors(Some(REQUEST_BYTES_FIRST.min(most)), larger);
        let decoded = &self.decoded;
        sizes
            .map(move |bytes| async move { decoded.room(bytes).await.expect("it is not more than there is") })
    }

    pub(crate) fn usage(&self) -> RequestMemory {
        RequestMemory { used: self.all.used(), peak: self.all.peak(), max: self.all.bytes_max() }
    }
}

impl Share {
    /// Room for a small frame, if there is now.
    pub(crate) fn frame(&self, bytes: usize) -> Option<Permit> {
        self.small.take(bytes).ok()
    }

    /// Room to decode a request, as far as there is now.
    pub(crate) fn request(&self) -> Permit {
        self.small.take(0).expect("nothing fits")
    }
}

/// A part of the memory that can be waited for.
struct Pool {
    budget: Budget,
    freed: Arc<Notify>,
    /// Had by the one who waits longest.
    turn: Mutex<()>,
}

impl Pool {
    fn new(all: &Budget, limit: &'static str, bytes: usize) -> Self {
        let freed = Arc::new(Notify::new());
        let tell = freed.clone();
        let budget = all.telling_share(limit, bytes, move || tell.notify_one());
        Self { budget, freed, turn: Mutex::default() }
    }

    /// Takes bytes as soon as they are there. An error if they never will be.
    async fn room(&self, bytes: usize) -> Result<Permit, OverLimit> {
        self.budget.could_hold(bytes)?;
        let _turn = self.turn.lock().await;
        loop {
            match self.budget.take(bytes) {
                Ok(permit) => return Ok(permit),
                // What came back since the look is remembered.
                Err(_) => self.freed.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use super::*;

    /// What a future comes to at once.
    fn now<T>(future: &mut Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn who_waits_longest_comes_first_and_nobody_waits_for_what_cannot_be() {
        let memory = Memory::new(800);
        let never = memory.frame(301).await.expect_err("there are 300");
        assert_eq!((never.limit, never.max, never.asked), ("memory for frames", 300, 301));
        let held = memory.frame(200).await.expect("it is free");
        let mut large = pin!(memory.frame(300));
        assert!(now(&mut large).is_none(), "100 are free");
        let mut small = pin!(memory.frame(1));
        assert!(now(&mut small).is_none(), "it would fit, but another was there before");
        drop(held);
        let large = now(&mut large).expect("all is free").expect("it fits");
        assert!(now(&mut small).is_none(), "now nothing is");
        drop(large);
        drop(now(&mut small).expect("it is its turn").expect("it fits"));
        assert_eq!(memory.usage(), RequestMemory { used: 0, peak: 300, max: 800 });
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_up_nobody() {
        let memory = Memory::new(800);
        let held = memory.frame(300).await.expect("it is free");
        assert!(now(&mut pin!(memory.frame(300))).is_none());
        drop(held);
        assert!(now(&mut pin!(memory.frame(300))).is_some());
    }

    #[tokio::test]
    async fn room_to_decode_is_not_room_for_frames() {
        let memory = Memory::new(800);
        let frames = memory.frame(300).await.expect("it is free");
        let any = || memory.rooms().last().expect("there are some");
        let requests = now(&mut pin!(any())).expect("a part of its own");
        assert_eq!((requests.bytes(), memory.usage().used), (100, 400));
        drop(frames);
        assert!(now(&mut pin!(any())).is_none());
    }

    #[tokio::test]
    async fn rooms_to_decode_begin_small_and_end_with_what_suffices() {
        let memory = Memory::new(512 << 20);
        let mut sizes = Vec::new();
        for room in memory.rooms() {
            sizes.push(room.await.bytes() >> 10);
        }
        assert_eq!(sizes, [128, 512, 2 << 10, 8 << 10, 32 << 10, 64 << 10]);
    }

    #[test]
    fn a_connection_has_its_part_whatever_others_do() {
        let memory = Memory::new(3 * 2 * (CONNECTION_BYTES + SMALL_REQUESTS_BYTES));
        let shares: Vec<_> = (0..3).map(|_| memory.share().expect("there is room")).collect();
        assert_eq!(memory.share().err().map(|over| over.limit), Some("memory for connections"));
        let held = shares[0].frame(SMALL_REQUESTS_BYTES).expect("its own");
        assert!(shares[0].frame(1).is_none() && shares[0].request().grow(1).is_err());
        assert!(shares[1].frame(1).is_some());
        drop(held);
        drop(shares);
        assert_eq!(memory.usage().used, 0);
    }
}
