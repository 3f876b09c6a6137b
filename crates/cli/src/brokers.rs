//! Which cluster a command talks to: the one that was named, or the embedded broker in `./.vltava`.

use std::path::Path;

use vltava::{Client, ClientBuilder, InProcess, flow::spec::Kafka};

use crate::{
    embedded::{self, Embedded, FOLDER},
    report::Failure,
};

/// What commands call themselves to brokers.
const CLIENT_ID: &str = "vltava";

/// The `-b` of every command that talks to a cluster.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Brokers {
    /// Brokers of the cluster; without any, the embedded broker in ./.vltava
    #[arg(short, long, env = "VLTAVA_BROKERS", value_name = "HOST:PORT,…")]
    brokers: Option<String>,
}

/// A cluster, and the broker in this process if that is what it consists of.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// How reports call it: the brokers as they were given, or the embedded broker.
    pub(crate) name: String,
    /// What a further command needs to find it too, with a blank before.
    pub(crate) flag: String,
    embedded: Option<Embedded>,
}

impl Brokers {
    /// What was named by flag or environment, if anything was.
    pub(crate) fn named(&self) -> Option<&str> {
        self.brokers.as_deref().filter(|brokers| !brokers.trim().is_empty())
    }

    /// Connects to the brokers that were named, else to the embedded one.
    pub(crate) async fn connect(&self) -> Result<Cluster, Failure> {
        match self.named() {
            Some(brokers) => named(brokers, Client::builder().client_id(CLIENT_ID)).await,
            None => embedded(Client::builder().client_id(CLIENT_ID)).await,
        }
    }

    /// The same, with what a flow's file says: its brokers come after the command line's and before the embedded one.
    pub(crate) async fn connect_or(&self, file: &Kafka) -> Result<Cluster, Failure> {
        let client_id = file.client_id.as_deref().unwrap_or(CLIENT_ID);
        let client = Client::builder().connection(file.connection.clone()).client_id(client_id);
        match self.named() {
            Some(brokers) => named(brokers, client).await,
            None if file.brokers.is_empty() => embedded(client).await,
            None => named(&file.brokers.join(","), client).await,
        }
    }
}

async fn named(brokers: &str, client: ClientBuilder) -> Result<Cluster, Failure> {
    let client = client.brokers(brokers).connect().await;
    let client = client.map_err(vltava::Error::from)?;
    Ok(Cluster { client, name: brokers.to_owned(), flag: format!(" -b {brokers}"), embedded: None })
}

async fn embedded(client: ClientBuilder) -> Result<Cluster, Failure> {
    let embedded = embedded::open(Path::new(FOLDER)).await?;
    let client = match &embedded {
        Embedded::Ours { broker, .. } => client.brokers(broker.bootstrap()).dial(broker.dial()),
        Embedded::Theirs { address } => client.brokers(address),
    };
    let client = client.connect().await;
    let client = client.map_err(vltava::Error::from)?;
    let name = "the embedded broker".to_owned();
    Ok(Cluster { client, name, flag: String::new(), embedded: Some(embedded) })
}

impl Cluster {
    /// Lets go of the cluster, and stops the broker if it is in this process.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        drop(self.client);
        match self.embedded {
            Some(Embedded::Ours { folder, broker }) => embedded::shutdown(&folder, broker).await,
            _ => Ok(()),
        }
    }
}
