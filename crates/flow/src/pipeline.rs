//! A flow from a file, running: decode, steps, then every branch's sink.

use std::sync::Arc;

use vltava_client::{Client, config};

use crate::{
    Context, Decode, Error, Failure, Flow, Handler, Outcome, Ready, Record, Sink, Step,
    error::Result,
    spec::{File, FlowSpec},
    steps,
};

/// Does with a record what a [`FlowSpec`] says.
pub struct Pipeline {
    decode: Decode,
    steps: Vec<Step>,
    branches: Vec<Opened>,
}

struct Opened {
    name: &'static str,
    sink: Arc<dyn Sink>,
}

/// Opens the sinks of every flow of a file, on a client that is connected to its cluster. Each of what comes back
/// may be changed, and started.
///
/// # Errors
/// If a sink cannot be opened.
pub async fn open(file: File, client: &Client) -> Result<Vec<(String, Ready<Pipeline>)>> {
    let mut flows = Vec::new();
    for spec in file.flows {
        let name = spec.name.clone();
        let flow = describe(&spec, &file.kafka.consumer).client(client.clone());
        flows.push((name, flow.handler(Pipeline::open(spec, client).await?)));
    }
    Ok(flows)
}

fn describe(spec: &FlowSpec, consumer: &config::Consumer) -> Flow {
    Flow::from(spec.from.clone())
        .group(&spec.group)
        .workers(spec.workers)
        .order(spec.order)
        .prefetch(spec.prefetch)
        .commit(spec.commit)
        .consumer(consumer.clone())
}

impl Pipeline {
    async fn open(spec: FlowSpec, client: &Client) -> Result<Self> {
        let mut branches = Vec::new();
        for branch in spec.to {
            let sink = (branch.open)(client.clone()).await.map_err(|failure| {
                Error::sink(format!("the sink {} of {} cannot be opened", branch.sink, spec.name), failure)
            })?;
            branches.push(Opened { name: branch.sink, sink });
        }
        Ok(Self { decode: spec.decode, steps: spec.steps, branches })
    }
}

impl Handler for Pipeline {
    async fn handle(&self, _: Context, record: Record) -> std::result::Result<Outcome, Failure> {
        let outputs = steps::run(&record, self.decode, &self.steps)?;
        if outputs.is_empty() {
            return Ok(Outcome::Skip);
        }
        for Opened { name, sink } in &self.branches {
            for delivered in sink.deliver(&outputs).await {
                delivered.map_err(|failure| failure.within(format!("the sink {name}")))?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn flush(&self) -> std::result::Result<(), Failure> {
        for Opened { name, sink } in &self.branches {
            sink.flush().await.map_err(|failure| failure.within(format!("the sink {name}")))?;
        }
        Ok(())
    }
}
