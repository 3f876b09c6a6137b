//! Who is faster, on a machine that is never quiet: in every round each contender runs once, in random order, and is
//! judged against the others of the same round. A contender that runs twice shows how far to believe it.

use std::time::Duration;

use cpu_time::ThreadTime;

/// The CPU time of one measurement, about: long beside the clock, short beside what disturbs.
const MEASURED: Duration = Duration::from_millis(20);

/// How far apart the two runs of the twin may be in a round that counts.
const NOISE_MAX: f64 = 0.15;

/// Rounds that are played again for noise, for every round that is asked for.
const REPEATS_MAX: usize = 4;

/// One way to do the work.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    /// Does the work once and says how many records it was.
    work: Box<dyn FnMut() -> u64 + 'a>,
    /// How often that is, for one measurement.
    times: u32,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &'static str, work: impl FnMut() -> u64 + 'a) -> Self {
        Self { name, work: Box::new(work), times: 1 }
    }

    fn warm_up(&mut self) {
        (self.work)();
        let started = ThreadTime::now();
        (self.work)();
        let once = started.elapsed().max(Duration::from_nanos(1));
        self.times = (MEASURED.as_nanos() / once.as_nanos()).clamp(1, 1_000_000) as u32;
    }

    /// Nanoseconds of CPU for a record.
    fn measure(&mut self) -> f64 {
        let started = ThreadTime::now();
        let records: u64 = (0..self.times).map(|_| (self.work)()).sum();
        started.elapsed().as_nanos() as f64 / records as f64
    }
}

/// What was measured of one contender, round by round.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) name: &'static str,
    /// Nanoseconds of CPU for a record.
    pub(crate) nanos: Vec<f64>,
}

/// Of all rounds that counted.
#[derive(Debug)]
pub(crate) struct Courses {
    pub(crate) all: Vec<Course>,
    /// How far apart the twins were, as a part of the lesser.
    pub(crate) noise: Vec<f64>,
    /// Rounds that did not count.
    pub(crate) repeated: usize,
}

/// Plays so many rounds. The last two contenders are the twins.
pub(crate) fn play(mut contenders: Vec<Contender<'_>>, rounds: usize, rng: &mut fastrand::Rng) -> Courses {
    contenders.iter_mut().for_each(Contender::warm_up);
    let all = contenders.iter().map(|it| Course { name: it.name, nanos: Vec::new() }).collect();
    let mut courses = Courses { all, noise: Vec::new(), repeated: 0 };
    while courses.noise.len() < rounds {
        let round = round(&mut contenders, rng);
        let noise = apart(round[round.len() - 2], round[round.len() - 1]);
        if noise > NOISE_MAX && courses.repeated < rounds * REPEATS_MAX {
            courses.repeated += 1;
            continue;
        }
        courses.noise.push(noise);
        courses.all.iter_mut().zip(round).for_each(|(course, nanos)| course.nanos.push(nanos));
    }
    courses
}

fn round(contenders: &mut [Contender<'_>], rng: &mut fastrand::Rng) -> Vec<f64> {
    let mut order: Vec<_> = (0..contenders.len()).collect();
    rng.shuffle(&mut order);
    let mut nanos = vec![0.0; contenders.len()];
    for at in order {
        nanos[at] = contenders[at].measure();
    }
    nanos
}

fn apart(one: f64, other: f64) -> f64 {
    one.max(other) / one.min(other) - 1.0
}

impl Courses {
    /// The median, over the rounds, of how many times as long one contender took as another.
    pub(crate) fn ratio(&self, who: &str, beside: &str) -> f64 {
        median(self.ratios(who, beside))
    }

    /// How many times as long one contender took as another, round by round.
    pub(crate) fn ratios(&self, who: &str, beside: &str) -> impl Iterator<Item = f64> {
        let of = |name| self.all.iter().find(|it| it.name == name).expect("it took part");
        of(who).nanos.iter().zip(&of(beside).nanos).map(|(own, other)| own / other)
    }
}

/// The value in the middle.
///
/// # Panics
/// If there is none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_not_of_the_medians() {
        let course = |name, nanos: &[f64]| Course { name, nanos: nanos.to_vec() };
        let all = vec![course("a", &[10.0, 20.0, 30.0]), course("b", &[30.0, 20.0, 15.0])];
        let courses = Courses { all, noise: vec![0.0; 3], repeated: 0 };
        assert_eq!(courses.ratio("b", "a"), 1.0);
        assert_eq!(courses.ratios("b", "a").collect::<Vec<_>>(), [3.0, 1.0, 0.5]);
    }
}
