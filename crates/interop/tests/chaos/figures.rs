//! The verdict on a run, and its figures, as `.ci/reliability` keeps them.

use serde_json::json;
use vltava_sim::{
    check::check,
    history::{Fate, History, What},
};

use crate::{monkey::Plan, run::Run};

/// So many violations are shown in full.
const SHOWN: usize = 10;

/// Prints what the run was, and panics if anything in its history must not be.
pub(crate) fn judge(run: &Run, plan: &Plan, history: &History) {
    let violations = check(history);
    let sends = history.sends();
    let fates = |is_so: fn(&Fate<'_>) -> bool| sends.iter().filter(|it| is_so(&it.fate)).count();
    let events = |count: fn(&What) -> usize| history.events.iter().map(|it| count(&it.what)).sum::<usize>();
    let (kills, pauses) = plan.counts();
    let figures = json!({
        "cluster": run.kafka,
        "minutes": run.lasts.as_secs() as f64 / 60.0,
        "nodes killed": kills,
        "nodes stopped for a while": pauses,
        "records sent": sends.len(),
        "acknowledged": fates(|it| matches!(it, Fate::Acknowledged(..))),
        "given up, nobody knows": fates(|it| matches!(it, Fate::Unknown)),
        "given up for certain": fates(|it| matches!(it, Fate::Failed)),
        "records in the log": events(|it| if let What::Log { records, .. } = it { records.len() } else { 0 }),
        "records handed out": events(|it| if let What::Poll { records, .. } = it { records.len() } else { 0 }),
        "positions that jumped": events(|it| usize::from(matches!(it, What::Jump { .. }))),
        "partitions told to stand still": events(|it| usize::from(matches!(it, What::Stalled { .. }))),
        "violations": violations.len(),
    });
    println!("figures: {} {figures}", run.name);
    let told: Vec<_> = violations.iter().take(SHOWN).map(|it| it.told(history)).collect();
    assert!(violations.is_empty(), "{}: {} violations:\n{}", run.kafka, violations.len(), told.join("\n"));
}
