//! `vltava group list`.

use serde::Serialize;
use vltava::client::{GroupFilter, GroupListing, GroupState, GroupType};

use crate::{
    brokers::Cluster,
    output::{self, Output, Row},
    report::Failure,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those in one of these states: Stable, Empty, …
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<String>,
    /// Only those of these types: classic, consumer
    #[arg(long = "type", value_name = "TYPE,…", value_delimiter = ',')]
    types: Vec<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(cluster: &Cluster, args: &Args) -> Result<(), Failure> {
    let filter = GroupFilter {
        states: args.state.iter().map(|it| GroupState::from(&**it)).collect(),
        types: args.types.iter().map(|it| GroupType::from(&**it)).collect(),
    };
    let groups = cluster.client.admin().list_groups(&filter).await.map_err(vltava::Error::from)?;
    let rows: Vec<_> = groups.into_iter().map(GroupRow::of).collect();
    Ok(output::print(&rows, args.output.look)?)
}

#[derive(Debug, Serialize)]
struct GroupRow {
    group: String,
    state: Option<String>,
    protocol: String,
    coordinator: i32,
}

impl GroupRow {
    fn of(group: GroupListing) -> GroupRow {
        GroupRow {
            group: group.group,
            state: group.state.map(|state| state.to_string()),
            protocol: group.group_type.to_string(),
            coordinator: group.coordinator,
        }
    }
}

impl Row for GroupRow {
    const HEAD: &'static [&'static str] = &["GROUP", "STATE", "PROTOCOL", ">COORDINATOR"];

    fn cells(&self) -> Vec<String> {
        let state = self.state.clone().unwrap_or_else(|| "-".to_owned());
        vec![self.group.clone(), state, self.protocol.clone(), self.coordinator.to_string()]
    }
}
