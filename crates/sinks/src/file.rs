//! `file: { path: out.jsonl }` appends a line of JSON for each record, as `json_line` has it.
//!
//! Before a commit counts on them, lines are synced to the disk. A line that was torn by a crash is cut off when the
//! file is opened: its record was not committed, and comes again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task;
use vltava_flow::{
    BoxFuture, Failure, Kind, Open, Output, Sink,
    spec::{Error, Key, Section},
};

use crate::json_line;

/// How a flow file names it.
pub const KIND: Kind = Kind { name: "file", doc: "appends a line of JSON for each record", keys: KEYS, read };

const KEYS: &[Key] =
    &[Key::new("path", "a path", "", "the file; it is made if it is not there, its folder is not")];

fn read(section: &Section<'_>) -> Result<Open, Error> {
    let path = PathBuf::from(section.required("path")?.word()?);
    Ok(Box::new(move |_| {
        let path = path.clone();
        Box::pin(async move { Ok(Arc::new(JsonLines::open(path).await?) as Arc<dyn Sink>) })
    }))
}

/// Appends to a file that no other process of ours has open.
#[derive(Debug)]
pub struct JsonLines(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    file: File,
    waiting: Mutex<Waiting>,
    /// Held by the one sync under way.
    syncing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// After a write or sync that failed, it is not known what the file has, and no later one can tell.
    broken: Option<String>,
}

/// Lines are gathered up to this before they are written.
const GATHERED_BYTES: usize = 64 << 10;

impl JsonLines {
    /// Opens or makes the file, and cuts off a torn last line.
    ///
    /// # Errors
    /// If it cannot be opened, or another has it open as a sink.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, Failure> {
        let path = path.into();
        let shown = path.display().to_string();
        let opening = task::spawn_blocking(move || open(&path).map(|file| (path, file)));
        let opened = opening.await.map_err(|error| Failure::new(format!("opening {shown}: {error}")))?;
        let (path, file) = opened.map_err(|error| Failure::new(format!("opening {shown}: {error}")))?;
        Ok(Self(Arc::new(Shared { path, file, waiting: Mutex::default(), syncing: Mutex::default() })))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, outputs: &[Output]) -> Result<(), String> {
        let mut waiting = self.lock();
        for output in outputs {
            json_line::append(&mut waiting.lines, output);
        }
        if waiting.lines.len() < GATHERED_BYTES { Ok(()) } else { self.write(&mut waiting) }
    }

    /// Writes under the lock, so that lines stay whole and in order.
    fn write(&self, waiting: &mut Waiting) -> Result<(), String> {
        if let Some(broken) = &waiting.broken {
            return Err(broken.clone());
        }
        let lines = mem::take(&mut waiting.lines);
        let written = (&self.file).write_all(&lines);
        waiting.lines = lines;
        waiting.lines.clear();
        written.map_err(|error| {
            let broken = format!("writing to {} failed: {error}", self.path.display());
            waiting.broken.insert(broken).clone()
        })
    }

    /// One at a time: the system tells of an error only once, and nobody may answer before it is known to all.
    /// Who asked may have gone, so it is noted here.
    fn sync(&self) -> Result<(), String> {
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&mut self.lock())?;
        self.file.sync_data().map_err(|error| {
            let broken = format!("syncing {} failed: {error}", self.path.display());
            self.lock().broken.insert(broken).clone()
        })
    }
}

impl Sink for JsonLines {
    fn deliver<'a>(&'a self, outputs: &'a [Output]) -> BoxFuture<'a, Vec<Result<(), Failure>>> {
        let appended = self.0.append(outputs);
        let each = outputs.iter().map(|_| appended.clone().map_err(Failure::new)).collect();
        Box::pin(std::future::ready(each))
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let shared = self.0.clone();
        Box::pin(async move { task::spawn_blocking(move || shared.sync()).await?.map_err(Failure::new) })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
        return Err(io::Error::other("another flow has it open"));
    }
    let length = file.metadata()?.len();
    let whole = whole_lines(&mut file, length)?;
    if whole < length {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    if is_new {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// How much of the file is lines that have their end: found from the back, as a last line may be long.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    const CHUNK: usize = 8 << 10;
    let mut end = length;
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let part = &mut chunk[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, output};
    use vltava_flow::Format;

    fn outputs(offsets: std::ops::Range<i64>) -> Vec<Output> {
        let sample = |offset| Sample { offset, key: Some(b"k"), value: Some(b"1"), headers: &[] };
        offsets.map(|offset| output(sample(offset), Format::Json)).collect()
    }

    fn offsets(path: &Path) -> Vec<i64> {
        let text = fs::read_to_string(path).unwrap();
        let offset =
            |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["offset"].as_i64().unwrap();
        text.lines().map(offset).collect()
    }

    #[tokio::test]
    async fn lines_are_there_after_a_flush_and_later_ones_are_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        for round in 0..3 {
            let sink = JsonLines::open(&path).await.unwrap();
            assert!(sink.deliver(&outputs(round * 2..round * 2 + 2)).await.iter().all(Result::is_ok));
            sink.flush().await.unwrap();
        }
        assert_eq!(offsets(&path), [0, 1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let sink = JsonLines::open(&path).await.unwrap();
        sink.deliver(&outputs(0..300)).await;
        sink.flush().await.unwrap();
        drop(sink);
        let whole = fs::read(&path).unwrap();
        for cut in (0..whole.len()).step_by(977).chain([whole.len() - 1, whole.len()]) {
            fs::write(&path, &whole[..cut]).unwrap();
            let sink = JsonLines::open(&path).await.unwrap();
            let kept = offsets(&path).len() as i64;
            let ends = whole[..cut].iter().filter(|it| **it == b'\n').count() as i64;
            assert_eq!(kept, ends, "cut at {cut}");
            sink.deliver(&outputs(kept..kept + 1)).await;
            sink.flush().await.unwrap();
            assert_eq!(offsets(&path), (0..=kept).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_line_longer_than_a_chunk_is_found_from_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, format!("1\n{}", "x".repeat(50_000))).unwrap();
        JsonLines::open(&path).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[tokio::test]
    async fn a_file_that_is_open_as_a_sink_is_not_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let first = JsonLines::open(&path).await.unwrap();
        let refused = JsonLines::open(&path).await.unwrap_err();
        assert!(refused.to_string().ends_with("another flow has it open"), "{refused}");
        drop(first);
        JsonLines::open(&path).await.unwrap();
    }

    #[tokio::test]
    async fn after_a_sync_that_failed_none_is_said_to_have_worked() {
        let folder = tempfile::tempdir().unwrap();
        let sink = JsonLines::open(folder.path().join("out.jsonl")).await.unwrap();
        let mut shared = Arc::into_inner(sink.0).unwrap();
        // What is no file cannot be synced.
        let whole = mem::replace(&mut shared.file, OpenOptions::new().write(true).open("/dev/null").unwrap());
        let failure = shared.sync().unwrap_err();
        assert!(failure.contains("syncing") && failure.contains("out.jsonl"), "{failure}");
        shared.file = whole;
        let sink = JsonLines(Arc::new(shared));
        for _ in 0..2 {
            assert_eq!(sink.flush().await.unwrap_err().to_string(), failure);
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_named() {
        let refused = JsonLines::open("/nowhere/at/all.jsonl").await.unwrap_err();
        assert!(refused.to_string().contains("/nowhere/at/all.jsonl"), "{refused}");
    }
}
