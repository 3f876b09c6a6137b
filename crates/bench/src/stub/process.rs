//! The stub as a child process.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{Greeting, Options, produced::Tally};

/// A stub that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Stub {
    child: Child,
    ask: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
    pub(crate) greeting: Greeting,
}

impl Stub {
    pub(crate) fn start(options: &Options) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg("stub")
            .args(["--endpoints", &options.endpoints.to_string()])
            .args(["--partitions", &options.partitions.to_string()])
            .args(["--records", &options.records.to_string()])
            .args(["--value-bytes", &options.value_bytes.to_string()])
            .args(["--batch-bytes", &options.batch_bytes.to_string()])
            .args(["--codec", &options.codec.to_string()])
            .args(["--rtt-micros", &options.rtt_micros.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take();
        let mut told = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        told.read_line(&mut line)?;
        let greeting = serde_json::from_str(&line)?;
        Ok(Self { child, ask, told, greeting })
    }

    /// What was produced since this was asked the last time.
    pub(crate) fn produced(&mut self) -> io::Result<Tally> {
        let mut line = String::new();
        self.ask.as_mut().expect("it is piped until the end").write_all(b"\n")?;
        self.told.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        // The end of its input is what it ends by.
        self.ask = None;
        let _ = self.child.wait();
    }
}
