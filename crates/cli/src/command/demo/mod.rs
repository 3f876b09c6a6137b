//! `vltava demo`: real flights through ten workers on an embedded broker, checked, in a few seconds.
//!
//! Nothing in here is closer to the machinery than what any program that uses the crate `vltava` can write.

mod flights;
mod referee;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use vltava::{Broker, Client, Flow, InProcess, Offset, Order, Outcome, ProducerRecord, TopicPartition};

use self::{
    flights::Flight,
    referee::{Delays, Referee},
};
use crate::{
    output::{self, count},
    progress::{Progress, per_second},
    report::Failure,
    signals::Signals,
};

const TOPIC: &str = "flights";
const PARTITIONS: i32 = 6;
const GROUP: &str = "delays";
const WORKERS: u32 = 10;

/// What a handler waits for with each record, as it would for a database.
const WORK: Duration = Duration::from_millis(1);

/// For the whole produce, which takes less than a second.
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Run 27,004 real flights through ten workers on an embedded broker
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        biased;
        () = signals.next() => Err(Failure::new("the demo was interrupted")),
        shown = show() => shown,
    }
}

async fn show() -> Result<(), Failure> {
    let lines = flights::lines()?;
    let total = flights::records(&lines).count() as u64;
    say(&format!(
        "vltava demo: {} flights of January 2013, ten workers, ordered by carrier\n",
        count(total)
    ))?;
    let folder =
        tempfile::tempdir().map_err(|error| Failure::because("the demo needs a temporary folder", &error))?;
    let broker = Broker::open(folder.path()).listen("127.0.0.1:0").topic(TOPIC, PARTITIONS).start().await;
    let broker = broker.map_err(vltava::Error::from)?;
    let address = broker.bootstrap();
    say(&format!("  broker    embedded, {address}, data in a temporary folder, every write synced\n"))?;

    let client = broker.client().await.map_err(vltava::Error::from)?;
    produce(&client, &lines).await?;
    let referee = Arc::new(Referee::new(flights::records(&lines)));
    let handled = flow(&client, referee.clone()).await?;
    table(&referee.delays())?;
    let verdict = Verdict { total, handled, fouls: fouls(&referee, &lines), behind: behind(&client).await? };
    drop(client);
    broker.shutdown().await.map_err(vltava::Error::from)?;
    verdict.tell()
}

async fn produce(client: &Client, lines: &str) -> Result<(), Failure> {
    let started = Instant::now();
    let producer = client.producer();
    let topic: Arc<str> = TOPIC.into();
    let mut deliveries = Vec::new();
    for (carrier, flight) in flights::records(lines) {
        let record = ProducerRecord::to(topic.clone()).key(carrier).value(flight);
        deliveries.push(producer.send(record).await.map_err(vltava::Error::from)?);
    }
    let sent = deliveries.len() as u64;
    for delivery in deliveries {
        delivery.await.map_err(vltava::Error::from)?;
    }
    producer.shutdown(PRODUCE_TIMEOUT).await.map_err(vltava::Error::from)?;
    let seconds = started.elapsed().as_secs_f64();
    say(&format!("  produced  {} records in {seconds:.1} s, all acknowledged\n", count(sent)))
}

/// Runs the flow until it has caught up; says how many records it handled.
async fn flow(client: &Client, referee: Arc<Referee>) -> Result<u64, Failure> {
    let started = Instant::now();
    let watched = referee.clone();
    let flow = Flow::from(TOPIC)
        .client(client.clone())
        .group(GROUP)
        .workers(WORKERS)
        .order(Order::Key)
        .until_caught_up()
        .each(move |_, record| {
            let referee = watched.clone();
            async move {
                let (carrier, text) = (record.key_str()?, record.value_str()?);
                referee.begin(carrier, text);
                let flight: Flight = serde_json::from_str(text)?;
                tokio::time::sleep(WORK).await;
                referee.end(carrier, flight);
                Ok(Outcome::Done)
            }
        });
    let handle = flow.start().await.map_err(vltava::Error::from)?;
    let progress = Progress::start(GROUP, vec![handle.control()]);
    let summary = handle.wait().await.map_err(vltava::Error::from)?;
    drop(progress);
    let elapsed = started.elapsed();
    say(&format!(
        "  flow      {} records in {:.1} s: {} records/s, {} ms of work each, up to {} at once\n\n",
        count(summary.done),
        elapsed.as_secs_f64(),
        count(per_second(summary.done, elapsed)),
        WORK.as_millis(),
        referee.at_once_max(),
    ))?;
    Ok(summary.done)
}

/// What the referee saw, and sums that are not those of the data itself.
fn fouls(referee: &Referee, lines: &str) -> Vec<String> {
    let mut fouls = referee.fouls();
    let mut expected: BTreeMap<String, Delays> = BTreeMap::new();
    for (carrier, flight) in flights::records(lines) {
        if let Ok(flight) = serde_json::from_str(flight) {
            expected.entry(carrier.to_owned()).or_default().add(flight);
        }
    }
    for (carrier, delays) in referee.delays() {
        if expected.get(&carrier) != Some(&delays) {
            fouls.push(format!("{carrier}: the delays are not those of the data"));
        }
    }
    fouls
}

/// Partitions whose committed offset is not their end, both as the broker tells them.
async fn behind(client: &Client) -> Result<Vec<String>, Failure> {
    let admin = client.admin();
    let committed = admin.committed_offsets(GROUP).await.map_err(vltava::Error::from)?;
    let partitions = (0..PARTITIONS).map(|partition| (TopicPartition::new(TOPIC, partition), Offset::Latest));
    let ends = admin.offsets(partitions).await.map_err(vltava::Error::from)?;
    let mut behind = Vec::new();
    for (partition, end) in ends {
        let committed = committed.get(&partition).map_or(0, |committed| committed.offset);
        if committed != end {
            behind.push(format!("{partition}: committed {committed}, end {end}"));
        }
    }
    Ok(behind)
}

/// The carriers, those with the most flights first.
fn table(delays: &BTreeMap<String, Delays>) -> Result<(), Failure> {
    let names = flights::airlines();
    let mut carriers: Vec<_> = delays.iter().collect();
    carriers.sort_by_key(|(_, delays)| std::cmp::Reverse(delays.flights));
    let rows: Vec<Vec<String>> = carriers
        .into_iter()
        .map(|(code, delays)| {
            let name = names.get(code.as_str()).copied().unwrap_or_default();
            let mean = delays.mean().map_or_else(|| "-".to_owned(), |mean| format!("{mean:+.1} min"));
            vec![code.clone(), name.to_owned(), count(delays.flights), mean]
        })
        .collect();
    say(&output::table(&["CARRIER", "NAME", ">FLIGHTS", ">MEAN DELAY"], &rows))
}

/// What came of it all.
struct Verdict {
    total: u64,
    handled: u64,
    fouls: Vec<String>,
    behind: Vec<String>,
}

impl Verdict {
    fn tell(self) -> Result<(), Failure> {
        let Verdict { total, handled, fouls, behind } = self;
        if handled != total || !fouls.is_empty() || !behind.is_empty() {
            let what =
                format!("{} records in, {} handled, and not as it should be", count(total), count(handled));
            return Err(fouls.into_iter().chain(behind).take(20).fold(Failure::new(what), Failure::note));
        }
        let numbers = format!("{0} records in, {0} handled", count(total));
        say(&format!(
            "\n{numbers}; order by key kept; committed = end of every partition\n\
             Next: edit examples/demo/flow.yaml and `vltava run` it, or point it at your cluster: \
             vltava run -b host:9092 …\n"
        ))
    }
}

fn say(text: &str) -> Result<(), Failure> {
    Ok(output::write(text)?)
}
