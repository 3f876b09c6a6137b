//! The real binary as a process: started in a folder of its own, waited for by what it prints, never by the clock.

#![allow(dead_code, unreachable_pub, reason = "every test file uses another part of it")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// What it printed, if all went well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }

    /// What it reported, if it failed with this code.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stderr
    }
}

/// A `vltava` that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    shown: String,
}

impl Process {
    /// Starts it in `folder`, with nothing on stdin.
    pub fn start(folder: &Path, args: &[&str]) -> Process {
        Process::with_stdin(folder, args, Stdio::null())
    }

    fn with_stdin(folder: &Path, args: &[&str], stdin: Stdio) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vltava"))
            .args(args)
            .current_dir(folder)
            .env_remove("VLTAVA_BROKERS")
            .env_remove("RUST_LOG")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = lines(child.stdout.take().expect("a pipe"));
        let stderr = lines(child.stderr.take().expect("a pipe"));
        Process { child, stdout, stderr, shown: String::new() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line on stdout, with its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.shown.push_str(&line);
                line
            }
            Err(_) => {
                // It may have ended already; what it reported is wanted either way.
                let _ = self.child.kill();
                panic!("no further line after: {}\n{}", self.shown, rest(&self.stderr))
            }
        }
    }

    /// The next line on stderr, with its end.
    #[track_caller]
    pub fn error_line(&self) -> String {
        self.stderr.recv_timeout(PATIENCE).expect("a line on stderr")
    }

    /// Sends a signal by its name: TERM, INT, KILL.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(done.expect("kill is there").success(), "the process is still there");
    }

    /// Waits for its end. What was read before by `line` is part of what is returned.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        let mut stdout = std::mem::take(&mut self.shown);
        stdout.push_str(&rest(&self.stdout));
        let stderr = rest(&self.stderr);
        let code = self.child.wait().expect("it can be waited for").code();
        Ended { code, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `vltava` to its end.
#[track_caller]
pub fn vltava(folder: &Path, args: &[&str]) -> Ended {
    Process::start(folder, args).ended()
}

/// Runs `vltava` to its end with this on stdin.
#[track_caller]
pub fn vltava_reading(folder: &Path, args: &[&str], input: &[u8]) -> Ended {
    let mut process = Process::with_stdin(folder, args, Stdio::piped());
    let mut stdin = process.child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A process that fails early closes the pipe: its exit code tells more than this error.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let ended = process.ended();
    writer.join().expect("writing does not panic");
    ended
}

/// A `vltava broker` on a free port, with the flag and the address that lead to it.
pub struct Broker {
    pub process: Process,
    pub address: String,
}

impl Broker {
    pub fn start(folder: &Path) -> Broker {
        Broker::start_at(folder, "127.0.0.1:0")
    }

    /// The same at an address, as after another that was there.
    pub fn start_at(folder: &Path, listen: &str) -> Broker {
        Broker::start_with(folder, listen, &[])
    }

    /// The same with more arguments.
    pub fn start_with(folder: &Path, listen: &str, more: &[&str]) -> Broker {
        let args = [&["broker", "--data", "data", "--listen", listen][..], more].concat();
        let mut process = Process::start(folder, &args);
        let line = process.line();
        let address = line.trim_end().strip_prefix("listening on ").expect("where it listens").to_owned();
        Broker { process, address }
    }
}

/// Another one every time, printed so that a run can be played again.
pub fn seed() -> u64 {
    let seed = std::env::var("VLTAVA_SEED")
        .map_or_else(|_| u64::from(std::process::id()), |it| it.parse().expect("VLTAVA_SEED is a number"));
    println!("VLTAVA_SEED={seed}");
    seed
}

/// Lines as they come, so that no pipe is ever full.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match pipe.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => drop(sender.send(String::from_utf8_lossy(&line).into_owned())),
            }
        }
    });
    receiver
}

/// Everything up to the end of the pipe.
#[track_caller]
fn rest(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => text.push_str(&line),
            Err(mpsc::RecvTimeoutError::Disconnected) => return text,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs after: {text}"),
        }
    }
}
