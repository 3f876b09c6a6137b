//! Our broker as a process of its own, for what is measured of it or through it.

use std::{
    env,
    error::Error,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};

use clap::Args;
use vltava_broker::{Broker, Sync};

/// How it is served.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Where everything is kept; in memory if it is not said.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,

    /// Acknowledge what the kernel has, in place of what the disk has.
    #[arg(long)]
    pub(crate) os: bool,

    /// Node ids it pretends to have.
    #[arg(long, default_value_t = 1)]
    pub(crate) nodes: usize,
}

/// Serves until its input ends.
pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let broker = match &options.data {
            Some(folder) => Broker::open(folder),
            None => Broker::in_memory(),
        };
        let sync = if options.os { Sync::Os } else { Sync::Always };
        let broker = broker.sync(sync).nodes(options.nodes).listen("127.0.0.1:0").start().await?;
        println!("{}", broker.bootstrap());
        let ended =
            tokio::task::spawn_blocking(|| io::stdin().lock().lines().map_while(Result::ok).for_each(drop));
        Ok(ended.await?)
    })
}

/// A broker that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) bootstrap: String,
}

impl Served {
    pub(crate) fn start(options: &Options) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["serve", "--nodes", &options.nodes.max(1).to_string()]);
        if options.os {
            command.arg("--os");
        }
        if let Some(folder) = &options.data {
            command.arg("--data").arg(folder);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let mut bootstrap = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut bootstrap)?;
        Ok(Self { child, input, bootstrap: bootstrap.trim().to_owned() })
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The end of its input is what it ends by.
        self.input = None;
        let _ = self.child.wait();
    }
}
