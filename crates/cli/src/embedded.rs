//! The embedded broker of the command line: the folder `./.vltava`, opened by the first `vltava` that is given no
//! brokers, and shared with those that come meanwhile by the address that is written in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::net::TcpStream;
use vltava::{Broker, broker::ErrorKind};

use crate::report::Failure;

/// Where the embedded broker keeps its data.
pub(crate) const FOLDER: &str = ".vltava";

/// In the data folder: where its broker listens, as `host:port,host:port`.
const ADDRESS: &str = "address";

/// How long the process that has the folder may take to say where it listens: it may just be recovering.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Who serves the folder.
#[derive(Debug)]
pub(crate) enum Embedded {
    /// This process.
    Ours { folder: PathBuf, broker: Broker },
    /// Another one, which listens there.
    Theirs { address: String },
}

/// Opens the folder, or finds who has it, and tells the user in one line.
pub(crate) async fn open(folder: &Path) -> Result<Embedded, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Broker::open(folder).listen("127.0.0.1:0").start().await {
            Ok(broker) => {
                write_address(folder, &broker)?;
                say(&format!("embedded broker on {}, data in ./{}", broker.bootstrap(), folder.display()));
                return Ok(Embedded::Ours { folder: folder.to_owned(), broker });
            }
            Err(error) if error.kind() == ErrorKind::Locked => {
                if let Some(address) = listening(folder).await {
                    say(&format!("the broker of ./{} on {address}", folder.display()));
                    return Ok(Embedded::Theirs { address });
                }
                if Instant::now() > deadline {
                    return Err(silent_owner(folder));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(vltava::Error::from(error).into()),
        }
    }
}

fn say(what: &str) {
    eprintln!("vltava: no brokers given: {what}");
}

fn silent_owner(folder: &Path) -> Failure {
    Failure::new(format!("another process has {} and does not answer", folder.display()))
        .note("it wrote no address, or nobody listens there")
        .fix("end that process, or name brokers: -b HOST:PORT")
}

/// The address in the folder, if somebody answers there. One that was left by a killed process does not count.
async fn listening(folder: &Path) -> Option<String> {
    let address = fs::read_to_string(folder.join(ADDRESS)).ok()?.trim().to_owned();
    let first = address.split(',').next()?;
    TcpStream::connect(first).await.ok()?;
    Some(address)
}

/// Says in the folder where its broker listens.
pub(crate) fn write_address(folder: &Path, broker: &Broker) -> Result<(), Failure> {
    let addresses: Vec<_> = broker.addresses().iter().map(ToString::to_string).collect();
    let fresh = folder.join(format!("{ADDRESS}.new"));
    fs::write(&fresh, addresses.join(",") + "\n")
        .and_then(|()| fs::rename(&fresh, folder.join(ADDRESS)))
        .map_err(|error| Failure::because(format!("cannot write to {}", folder.display()), &error))
}

/// Stops the broker cleanly. Its address goes first, while the folder is still ours.
pub(crate) async fn shutdown(folder: &Path, broker: Broker) -> Result<(), Failure> {
    match fs::remove_file(folder.join(ADDRESS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, folder = %folder.display(), "cannot remove the address");
        }
        _ => (),
    }
    broker.shutdown().await.map_err(|error| vltava::Error::from(error).into())
}
