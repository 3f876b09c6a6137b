//! What to work on next, how much may wait for it, and what of each partition is done.

use super::{
    lanes::{Keyed, Lanes, Order},
    tracker::Tracker,
};

/// How much is let in. What waits and what is at work counts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records of one partition.
    pub partition_records: usize,
    /// Bytes of one partition; one record is always let in.
    pub partition_bytes: usize,
    /// Bytes of all partitions; each may have one record beyond it.
    pub total_bytes: usize,
    /// Records from the first that is not done to the last that was let in, of one partition: so many may have to
    /// be done again after a crash.
    pub window: u64,
}

/// Hands out the records of all assigned partitions.
#[derive(Debug)]
pub struct Schedule<T> {
    limits: Limits,
    lanes: Lanes<Entry<T>>,
    places: Vec<Option<Assigned>>,
    assignments: u64,
    held_bytes: usize,
    running: usize,
    waiting: usize,
}

/// A partition's place in the schedule, for as long as it is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    index: u32,
    assignment: u64,
}

impl Place {
    /// A small number that no other assigned partition has at the same time.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// A record to work on. Its ticket has to come back, by [`Schedule::done`] or [`Schedule::cancelled`].
#[derive(Debug)]
pub struct Work<T> {
    /// The record.
    pub record: T,
    /// Whose it is.
    pub ticket: Ticket,
}

/// Stands for a record at work. It names the assignment under which the record was let in, so one that comes back
/// late changes nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    place: Place,
    lane: u32,
    sequence: u64,
    bytes: usize,
}

impl Ticket {
    /// The place of the record's partition.
    pub fn place(&self) -> Place {
        self.place
    }
}

#[derive(Debug)]
struct Entry<T> {
    record: T,
    place: Place,
    sequence: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Assigned {
    assignment: u64,
    tracker: Tracker,
    waiting: usize,
    running: usize,
    bytes: usize,
    /// Bytes of those that wait, a part of `bytes`.
    waiting_bytes: usize,
    closed: bool,
}

impl<T: Keyed> Keyed for Entry<T> {
    fn key(&self) -> Option<&[u8]> {
        self.record.key()
    }
}

impl<T: Keyed> Schedule<T> {
    /// A schedule without partitions. The seed decides nothing but how keys are spread in memory.
    pub fn new(order: Order, limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            lanes: Lanes::new(order, seed),
            places: Vec::new(),
            assignments: 0,
            held_bytes: 0,
            running: 0,
            waiting: 0,
        }
    }

    /// A partition is ours, and is read from `position` on.
    pub fn assign(&mut self, position: i64) -> Place {
        self.assignments += 1;
        let assigned = Assigned {
            assignment: self.assignments,
            tracker: Tracker::new(position),
            waiting: 0,
            running: 0,
            bytes: 0,
            waiting_bytes: 0,
            closed: false,
        };
        let free = self.places.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[index] = Some(assigned);
        Place { index: index as u32, assignment: self.assignments }
    }

    /// Whether a further record of this partition is let in.
    pub fn has_room(&self, place: Place) -> bool {
        let Some(it) = self.get(place).filter(|it| !it.closed) else { return false };
        let held = it.waiting + it.running;
        let limits = &self.limits;
        let bytes_fit = it.bytes < limits.partition_bytes && self.held_bytes < limits.total_bytes;
        held < limits.partition_records && it.tracker.window() < limits.window && (held == 0 || bytes_fit)
    }

    /// Lets a record in; offsets of a partition only grow. Ask [`Schedule::has_room`] first.
    ///
    /// # Panics
    /// If the partition is not assigned or was closed.
    pub fn offer(&mut self, place: Place, offset: i64, bytes: usize, record: T) {
        let it = self.get_mut(place).filter(|it| !it.closed).expect("records come from open assignments");
        let sequence = it.tracker.start(offset);
        it.waiting += 1;
        it.bytes += bytes;
        it.waiting_bytes += bytes;
        self.waiting += 1;
        self.held_bytes += bytes;
        self.lanes.push(place.assignment, Entry { record, place, sequence, bytes });
    }

    /// What lies below `position` and was not offered holds nothing to work on.
    pub fn skip_to(&mut self, place: Place, position: i64) {
        if let Some(it) = self.get_mut(place) {
            it.tracker.skip_to(position);
        }
    }

    /// The next record to work on, if one may start.
    pub fn take(&mut self) -> Option<Work<T>> {
        let (lane, entry) = self.lanes.claim()?;
        let Entry { record, place, sequence, bytes } = entry;
        let it = self.get_mut(place).expect("what waits belongs to an assignment");
        it.waiting -= 1;
        it.waiting_bytes -= bytes;
        it.running += 1;
        self.waiting -= 1;
        self.running += 1;
        Some(Work { record, ticket: Ticket { place, lane, sequence, bytes } })
    }

    /// A record is done: its key goes on, and a commit may count on it.
    pub fn done(&mut self, ticket: Ticket) {
        if let Some(it) = self.get_mut(ticket.place) {
            it.tracker.finish(ticket.sequence);
        }
        self.put_back(ticket);
    }

    /// A record is no longer at work and not done: no commit passes it under this assignment.
    pub fn cancelled(&mut self, ticket: Ticket) {
        self.put_back(ticket);
    }

    fn put_back(&mut self, ticket: Ticket) {
        self.lanes.free(ticket.lane);
        self.running -= 1;
        if let Some(it) = self.get_mut(ticket.place) {
            it.running -= 1;
            it.bytes -= ticket.bytes;
            self.held_bytes -= ticket.bytes;
        }
    }

    /// Lets nothing more of a partition in and drops what has not started. What runs may still finish.
    pub fn close(&mut self, place: Place) {
        let Some(it) = self.get_mut(place) else { return };
        it.closed = true;
        let (waiting, bytes) = (it.waiting, it.waiting_bytes);
        it.waiting = 0;
        it.waiting_bytes = 0;
        it.bytes -= bytes;
        self.waiting -= waiting;
        self.held_bytes -= bytes;
        self.lanes.drop_waiting(place.assignment);
    }

    /// Forgets a partition. Tickets of it that are still out change nothing when they come back.
    pub fn release(&mut self, place: Place) {
        self.close(place);
        if let Some(it) = self.get(place) {
            self.held_bytes -= it.bytes;
            self.places[place.index()] = None;
        }
    }

    /// The offset to resume a partition from: every record below it is done. None once it was released.
    pub fn watermark(&self, place: Place) -> Option<i64> {
        Some(self.get(place)?.tracker.watermark())
    }

    /// How many records of a partition are at work.
    pub fn running_of(&self, place: Place) -> usize {
        self.get(place).map_or(0, |it| it.running)
    }

    /// How many records of a partition were let in and are not done.
    pub fn held_of(&self, place: Place) -> usize {
        self.get(place).map_or(0, |it| it.waiting + it.running)
    }

    /// How many records are at work, those of released partitions included.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many records wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a record could start now.
    pub fn has_ready(&self) -> bool {
        self.lanes.has_ready()
    }

    fn get(&self, place: Place) -> Option<&Assigned> {
        self.places[place.index()].as_ref().filter(|it| it.assignment == place.assignment)
    }

    fn get_mut(&mut self, place: Place) -> Option<&mut Assigned> {
        self.places[place.index()].as_mut().filter(|it| it.assignment == place.assignment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { partition_records: 3, partition_bytes: 100, total_bytes: 150, window: 5 };

    impl Keyed for Option<&'static str> {
        fn key(&self) -> Option<&[u8]> {
            self.map(str::as_bytes)
        }
    }

    fn schedule() -> Schedule<Option<&'static str>> {
        Schedule::new(Order::Key, LIMITS, 1)
    }

    #[test]
    fn a_partition_takes_no_more_records_than_its_limit() {
        let mut schedule = schedule();
        let place = schedule.assign(0);
        for offset in 0..3 {
            assert!(schedule.has_room(place));
            schedule.offer(place, offset, 1, None);
        }
        assert!(!schedule.has_room(place));
        let work = schedule.take().unwrap();
        assert!(!schedule.has_room(place), "what is at work still counts");
        schedule.done(work.ticket);
        assert!(schedule.has_room(place));
    }

    #[test]
    fn one_record_is_let_in_however_large() {
        let mut schedule = schedule();
        let (one, other) = (schedule.assign(0), schedule.assign(0));
        schedule.offer(one, 0, 1_000, None);
        assert!(!schedule.has_room(one));
        assert!(schedule.has_room(other), "each partition may have one beyond the total");
        schedule.offer(other, 0, 1, None);
        assert!(!schedule.has_room(other));
        let work = schedule.take().unwrap();
        schedule.done(work.ticket);
        assert!(schedule.has_room(one) && schedule.has_room(other));
    }

    #[test]
    fn a_record_that_does_not_end_holds_its_partition_at_the_window() {
        let mut schedule = schedule();
        let place = schedule.assign(0);
        schedule.offer(place, 0, 1, None);
        let stuck = schedule.take().unwrap();
        for offset in 1..5 {
            assert!(schedule.has_room(place));
            schedule.offer(place, offset, 1, None);
            let work = schedule.take().unwrap();
            schedule.done(work.ticket);
        }
        assert!(!schedule.has_room(place));
        assert_eq!(schedule.watermark(place), Some(0));
        schedule.done(stuck.ticket);
        assert!(schedule.has_room(place));
        assert_eq!(schedule.watermark(place), Some(5));
    }

    #[test]
    fn closing_drops_what_waits_and_lets_what_runs_finish() {
        let mut schedule = schedule();
        let place = schedule.assign(0);
        for offset in 0..3 {
            schedule.offer(place, offset, 60, None);
        }
        let work = schedule.take().unwrap();
        schedule.close(place);
        assert!(!schedule.has_room(place));
        assert!(schedule.take().is_none());
        assert_eq!((schedule.running_of(place), schedule.held_bytes), (1, 60));
        schedule.done(work.ticket);
        assert_eq!(schedule.watermark(place), Some(1));
        schedule.release(place);
        assert_eq!((schedule.running(), schedule.waiting(), schedule.held_bytes), (0, 0, 0));
    }

    #[test]
    fn a_ticket_that_comes_late_changes_nothing() {
        let mut schedule = schedule();
        let before = schedule.assign(0);
        schedule.offer(before, 0, 10, Some("a"));
        let late = schedule.take().unwrap();
        schedule.release(before);
        let after = schedule.assign(0);
        assert_eq!(before.index(), after.index());
        schedule.offer(after, 0, 10, Some("a"));
        schedule.done(late.ticket);
        assert_eq!(schedule.watermark(after), Some(0));
        assert_eq!(schedule.watermark(before), None);
        let work = schedule.take().unwrap();
        schedule.done(work.ticket);
        assert_eq!((schedule.watermark(after), schedule.held_bytes), (Some(1), 0));
    }

    #[test]
    fn what_was_cancelled_is_never_passed() {
        let mut schedule = schedule();
        let place = schedule.assign(0);
        schedule.offer(place, 0, 1, Some("a"));
        schedule.offer(place, 1, 1, Some("b"));
        let (first, second) = (schedule.take().unwrap(), schedule.take().unwrap());
        schedule.cancelled(first.ticket);
        schedule.done(second.ticket);
        assert_eq!(schedule.watermark(place), Some(0));
        assert_eq!(schedule.running(), 0);
    }
}
