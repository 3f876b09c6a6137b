//! Who watches the demo's flow from inside its handler: adds up the delays, and checks that the records of a key come
//! one after another, each exactly in the order in which they were sent.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::flights::Flight;

/// What the handler tells it, and what it makes of that.
#[derive(Debug)]
pub(crate) struct Referee(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    carriers: BTreeMap<String, Carrier>,
    at_once: usize,
    at_once_max: usize,
}

/// What is known of one key.
#[derive(Debug, Default)]
struct Carrier {
    /// What was sent, in order.
    sent: Vec<String>,
    /// How many of those are done.
    done: usize,
    /// Whether a record of it is being worked on.
    busy: bool,
    delays: Delays,
    fouls: Vec<String>,
}

/// The flights of a carrier, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delays {
    pub(crate) flights: u64,
    /// Those that arrived where they should.
    pub(crate) arrived: u64,
    pub(crate) minutes: i64,
}

impl Delays {
    pub(crate) fn add(&mut self, flight: Flight) {
        self.flights += 1;
        if let Some(delay) = flight.arr_delay {
            self.arrived += 1;
            self.minutes += delay;
        }
    }

    /// Minutes per flight that arrived; none, if none did.
    #[expect(clippy::cast_precision_loss, reason = "minutes of a month")]
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.arrived > 0).then(|| self.minutes as f64 / self.arrived as f64)
    }
}

impl Referee {
    /// Knows what will be sent.
    pub(crate) fn new<'a>(sent: impl Iterator<Item = (&'a str, &'a str)>) -> Referee {
        let mut seen = Seen::default();
        for (key, value) in sent {
            seen.carrier(key).sent.push(value.to_owned());
        }
        Referee(Mutex::new(seen))
    }

    /// A handler begins with a record.
    pub(crate) fn begin(&self, key: &str, value: &str) {
        let mut seen = self.lock();
        seen.at_once += 1;
        seen.at_once_max = seen.at_once_max.max(seen.at_once);
        let carrier = seen.carrier(key);
        if carrier.busy {
            carrier.fouls.push(format!("{key}: two records at once"));
        }
        if carrier.sent.get(carrier.done).is_none_or(|due| due != value) {
            carrier.fouls.push(format!("{key}: {value} came as record {}", carrier.done + 1));
        }
        carrier.busy = true;
    }

    /// It is done with it.
    pub(crate) fn end(&self, key: &str, flight: Flight) {
        let mut seen = self.lock();
        seen.at_once -= 1;
        let carrier = seen.carrier(key);
        carrier.busy = false;
        carrier.done += 1;
        carrier.delays.add(flight);
    }

    /// The most records that were being worked on at the same time.
    pub(crate) fn at_once_max(&self) -> usize {
        self.lock().at_once_max
    }

    /// What was added up, by carrier.
    pub(crate) fn delays(&self) -> BTreeMap<String, Delays> {
        self.lock().carriers.iter().map(|(key, carrier)| (key.clone(), carrier.delays)).collect()
    }

    /// What was not as it should be: records out of order, twice, side by side, or never handled.
    pub(crate) fn fouls(&self) -> Vec<String> {
        let seen = self.lock();
        let mut fouls = Vec::new();
        for (key, carrier) in &seen.carriers {
            fouls.extend(carrier.fouls.iter().cloned());
            if carrier.done != carrier.sent.len() {
                fouls.push(format!("{key}: {} of {} records handled", carrier.done, carrier.sent.len()));
            }
        }
        fouls
    }

    /// A handler that panicked left nothing half done here.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn carrier(&mut self, key: &str) -> &mut Carrier {
        self.carriers.entry(key.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON_TIME: Flight = Flight { arr_delay: Some(0) };

    fn referee() -> Referee {
        Referee::new([("AA", "a1"), ("UA", "u1"), ("AA", "a2")].into_iter())
    }

    fn handle(referee: &Referee, key: &str, value: &str) {
        referee.begin(key, value);
        referee.end(key, ON_TIME);
    }

    #[test]
    fn keys_side_by_side_are_no_foul() {
        let referee = referee();
        referee.begin("AA", "a1");
        handle(&referee, "UA", "u1");
        referee.end("AA", ON_TIME);
        handle(&referee, "AA", "a2");
        assert_eq!(referee.fouls(), Vec::<String>::new());
        assert_eq!(referee.at_once_max(), 2);
    }

    #[test]
    fn records_of_a_key_in_another_order_are_a_foul() {
        let referee = referee();
        handle(&referee, "UA", "u1");
        handle(&referee, "AA", "a2");
        handle(&referee, "AA", "a1");
        assert_eq!(referee.fouls(), ["AA: a2 came as record 1", "AA: a1 came as record 2"]);
    }

    #[test]
    fn two_records_of_a_key_at_once_are_a_foul() {
        let referee = referee();
        referee.begin("AA", "a1");
        referee.begin("AA", "a2");
        assert!(referee.fouls().contains(&"AA: two records at once".to_owned()));
    }

    #[test]
    fn a_record_twice_or_never_is_a_foul() {
        let referee = referee();
        handle(&referee, "UA", "u1");
        handle(&referee, "UA", "u1");
        let fouls = ["AA: 0 of 2 records handled", "UA: u1 came as record 2", "UA: 2 of 1 records handled"];
        assert_eq!(referee.fouls(), fouls);
    }

    #[test]
    fn the_mean_is_over_the_flights_that_arrived() {
        let mut delays = Delays::default();
        assert_eq!(delays.mean(), None);
        for arr_delay in [Some(30), None, Some(-10)] {
            delays.add(Flight { arr_delay });
        }
        assert_eq!(delays, Delays { flights: 3, arrived: 2, minutes: 20 });
        assert_eq!(delays.mean(), Some(10.0));
    }
}
