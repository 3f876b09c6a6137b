//! `redis: { url: …, set: "latest:{key}" }` keeps the newest value of each key in Redis; a tombstone deletes it.
//!
//! A record that comes again after a crash is older than what is there, and must not take its place: beside each
//! key stands a companion with the place of the record its value is from, and a script compares before it sets.
//! Places compare within one topic and partition; a record from another always counts as newer. Of several outputs of
//! one record the last one stays, also when the record comes again.
//!
//! A topic is known by its name: one that was deleted and made anew begins at offset 0, and its records count as
//! older than what is there until its keys and their companions, `vltava:{…}`, are removed.

use std::{fmt::Write, sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, Client, Script, aio::MultiplexedConnection};
use vltava_flow::{
    BoxFuture, Failure, Kind, Open, Output, Record, Sink,
    spec::{Error, Field, Key, Section},
};

/// How a flow file names it.
pub const KIND: Kind = Kind { name: "redis", doc: "sets a key to the record's value", keys: KEYS, read };

const KEYS: &[Key] = &[
    Key::new("url", "redis://HOST:PORT", "", "the server"),
    Key::new("set", "a text with {key}, {topic}, {partition}", "", "the key that is set"),
    Key::new(
        "newest_only",
        "true or false",
        "true",
        "whether a record that is older than what is there is left out",
    ),
];

/// A server that does not answer for so long is taken for gone.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// The first key is what is set, the second its companion; the arguments are the topic and partition, the offset,
/// and the value, or no value to delete.
const SET_IF_NEWER: &str = r"
local place = redis.call('HMGET', KEYS[2], 'from', 'offset')
if place[1] == ARGV[1] and tonumber(place[2]) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], 'from', ARGV[1], 'offset', ARGV[2])
if ARGV[3] then redis.call('SET', KEYS[1], ARGV[3]) else redis.call('DEL', KEYS[1]) end
return 1";

fn read(section: &Section<'_>) -> Result<Open, Error> {
    let url = section.required("url")?;
    let client = Client::open(url.word()?).map_err(|error| {
        url.error(format!("`url` is no address of Redis: {error}"), "as in redis://localhost:6379")
    })?;
    let template = Template::read(&section.required("set")?)?;
    let newest_only = section.field("newest_only").map_or(Ok(true), |it| it.flag())?;
    Ok(Box::new(move |_| {
        let (client, template) = (client.clone(), template.clone());
        Box::pin(async move {
            Ok(Arc::new(Latest::connect(client, template, newest_only).await?) as Arc<dyn Sink>)
        })
    }))
}

/// A key with places for what is the record's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Key,
    Topic,
    Partition,
}

impl Template {
    /// Reads `latest:{key}`; `{{` stands for a brace.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                plain.push('{');
                rest = after;
                continue;
            }
            let end = rest.find('}').ok_or("a brace is not closed; `{{` stands for a brace")?;
            let part = match &rest[..end] {
                "key" => Part::Key,
                "topic" => Part::Topic,
                "partition" => Part::Partition,
                other => {
                    return Err(format!(
                        "there is no `{{{other}}}`, but {{key}}, {{topic}} and {{partition}}"
                    ));
                }
            };
            parts.extend([Part::Text(std::mem::take(&mut plain)), part]);
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    fn read(field: &Field<'_>) -> Result<Self, Error> {
        Self::parse(field.word()?).map_err(|fault| field.error("`set` is no template of a key", fault))
    }

    /// The key for a record.
    fn fill(&self, record: &Record) -> Result<Vec<u8>, Failure> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.extend_from_slice(text.as_bytes()),
                Part::Topic => filled.extend_from_slice(record.topic().as_bytes()),
                Part::Partition => filled.extend_from_slice(record.partition().to_string().as_bytes()),
                Part::Key => match record.key() {
                    Some(key) => filled.extend_from_slice(key),
                    None => return Err(Failure::new("the record has no key to make a key of Redis from")),
                },
            }
        }
        Ok(filled)
    }
}

/// Keeps the newest value of each key.
pub struct Latest {
    /// Without credentials.
    address: String,
    template: Template,
    script: Option<Script>,
    connection: MultiplexedConnection,
}

impl Latest {
    /// Connects to the server.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn connect(client: Client, template: Template, newest_only: bool) -> Result<Self, Failure> {
        let address = client.get_connection_info().addr().to_string();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIME))
            .set_response_timeout(Some(ANSWER_TIME));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = connection.map_err(|error| fault(&address, &error))?;
        let script = newest_only.then(|| Script::new(SET_IF_NEWER));
        Ok(Self { address, template, script, connection })
    }

    async fn put(&self, output: &Output) -> Result<(), Failure> {
        let key = self.template.fill(output.record())?;
        // Connections share one socket: commands of several workers go out together.
        let mut connection = self.connection.clone();
        let done = match (&self.script, output.value()) {
            (None, Some(value)) => redis::cmd("SET").arg(&key).arg(value).exec_async(&mut connection).await,
            (None, None) => redis::cmd("DEL").arg(&key).exec_async(&mut connection).await,
            (Some(script), value) => {
                let mut call = script.prepare_invoke();
                call.key(&key).key(companion(&key)).arg(place(output.record())).arg(output.record().offset());
                if let Some(value) = value {
                    call.arg(value);
                }
                call.invoke_async::<()>(&mut connection).await
            }
        };
        done.map_err(|error| fault(&self.address, &error))
    }
}

fn place(record: &Record) -> String {
    let mut place = String::with_capacity(record.topic().len() + 12);
    write!(place, "{}-{}", record.topic(), record.partition()).expect("a string takes what is written");
    place
}

/// In a cluster of Redis, the braces put the companion beside its key.
fn companion(key: &[u8]) -> Vec<u8> {
    [b"vltava:{", key, b"}"].concat()
}

fn fault(address: &str, error: &redis::RedisError) -> Failure {
    let what =
        if error.is_connection_dropped() || error.is_timeout() { "the connection was lost: " } else { "" };
    Failure::new(format!("redis at {address}: {what}{error}"))
}

impl Sink for Latest {
    fn deliver<'a>(&'a self, outputs: &'a [Output]) -> BoxFuture<'a, Vec<Result<(), Failure>>> {
        Box::pin(async move {
            let mut each = Vec::with_capacity(outputs.len());
            for output in outputs {
                each.push(self.put(output).await);
            }
            each
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex};

    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };
    use vltava_flow::Format;

    use super::*;
    use crate::samples::{Sample, output, record};

    type Store = Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>;

    /// Speaks enough of Redis to be set, and to run the script by what it should do; hangs up when told to.
    async fn serve(listener: TcpListener, store: Store) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            while let Some(command) = command(&mut stream).await {
                let Some(answer) = answer(&command, &store) else { break };
                stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }

    async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
        let count = number(stream).await?;
        let mut parts = Vec::new();
        for _ in 0..count {
            let mut part = vec![0; number(stream).await? + 2];
            stream.read_exact(&mut part).await.ok()?;
            part.truncate(part.len() - 2);
            parts.push(part);
        }
        Some(parts)
    }

    async fn number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        line.get(1..)?.trim().parse().ok()
    }

    fn answer(command: &[Vec<u8>], store: &Store) -> Option<String> {
        let mut store = store.lock().unwrap();
        match (&command[0][..], &command[1..]) {
            (b"SET", [key, value]) => drop(store.insert(key.clone(), value.clone())),
            (b"DEL", [key]) => drop(store.remove(key)),
            (b"EVALSHA", [_, keys, key, companion, from, offset, value @ ..]) => {
                assert_eq!(keys, b"2");
                assert_eq!(*companion, [b"vltava:{", &key[..], b"}"].concat());
                let offset: i64 = String::from_utf8_lossy(offset).parse().unwrap();
                let place = store.get(companion).map(|it| String::from_utf8_lossy(it).into_owned());
                let from = String::from_utf8_lossy(from).into_owned();
                let older =
                    place.and_then(|it| it.strip_prefix(&from)?.strip_prefix('@')?.parse::<i64>().ok());
                if older.is_some_and(|older| offset < older) {
                    return Some(":0\r\n".to_owned());
                }
                store.insert(companion.clone(), format!("{from}@{offset}").into_bytes());
                match value {
                    [value] => drop(store.insert(key.clone(), value.clone())),
                    _ => drop(store.remove(key)),
                }
                return Some(":1\r\n".to_owned());
            }
            (b"CLIENT", _) => (),
            (b"HANGUP", _) => return None,
            other => panic!("{other:?}"),
        }
        Some("+OK\r\n".to_owned())
    }

    async fn sink(newest_only: bool) -> (Latest, Store) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let store = Store::default();
        tokio::spawn(serve(listener, store.clone()));
        let client = Client::open(format!("redis://{address}")).unwrap();
        let template = Template::parse("latest:{key}").unwrap();
        (Latest::connect(client, template, newest_only).await.unwrap(), store)
    }

    fn sample(offset: i64, value: Option<&'static [u8]>) -> Output {
        output(Sample { offset, key: Some(b"AAPL"), value, headers: &[] }, Format::Bytes)
    }

    fn latest(store: &Store) -> Option<Vec<u8>> {
        store.lock().unwrap().get(&b"latest:AAPL"[..]).cloned()
    }

    #[tokio::test]
    async fn an_older_record_does_not_take_the_place_of_a_newer() {
        let (sink, store) = sink(true).await;
        for (offset, value, expected) in [
            (5, Some(&b"five"[..]), Some(&b"five"[..])),
            (4, Some(b"four"), Some(b"five")),
            (5, Some(b"its second output"), Some(b"its second output")),
            (6, None, None),
            (5, Some(b"five"), None),
            (7, Some(b""), Some(b"")),
        ] {
            assert!(sink.deliver(&[sample(offset, value)]).await.iter().all(Result::is_ok));
            assert_eq!(latest(&store).as_deref(), expected, "after offset {offset}");
        }
    }

    #[tokio::test]
    async fn of_the_outputs_of_one_record_the_last_stays_however_often_it_comes() {
        let (sink, store) = sink(true).await;
        for _ in 0..2 {
            sink.deliver(&[sample(5, Some(b"one")), sample(5, Some(b"two"))]).await;
            assert_eq!(latest(&store).as_deref(), Some(&b"two"[..]));
        }
        sink.deliver(&[sample(4, Some(b"four"))]).await;
        assert_eq!(latest(&store).as_deref(), Some(&b"two"[..]));
    }

    #[tokio::test]
    async fn without_newest_only_the_last_one_counts() {
        let (sink, store) = sink(false).await;
        sink.deliver(&[sample(5, Some(b"five")), sample(4, Some(b"four"))]).await;
        assert_eq!(latest(&store).as_deref(), Some(&b"four"[..]));
        sink.deliver(&[sample(6, None)]).await;
        assert_eq!(latest(&store), None);
    }

    #[tokio::test]
    async fn a_lost_connection_is_named_with_the_server() {
        let (sink, _) = sink(true).await;
        redis::cmd("HANGUP").exec_async(&mut sink.connection.clone()).await.unwrap_err();
        let delivered = sink.deliver(&[sample(1, Some(b"x"))]).await;
        let failure = delivered.into_iter().next().unwrap().unwrap_err().to_string();
        let start = format!("redis at {}: the connection was lost", sink.address);
        assert!(failure.starts_with(&start), "{failure}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_without_its_password() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let client = Client::open(format!("redis://:secret@{address}")).unwrap();
        let refused = Latest::connect(client, Template::parse("{key}").unwrap(), true).await.err().unwrap();
        assert!(refused.to_string().starts_with(&format!("redis at {address}: ")), "{refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }

    #[test]
    fn a_template_is_filled_from_the_record() {
        let it = record(Sample { offset: 1, key: Some(b"k"), value: None, headers: &[] });
        for (template, filled) in [
            ("latest:{key}", "latest:k"),
            ("{topic}/{partition}/{key}", "trades/3/k"),
            ("{{x}:{key}", "{x}:k"),
            ("a", "a"),
        ] {
            assert_eq!(Template::parse(template).unwrap().fill(&it).unwrap(), filled.as_bytes());
        }
        for template in ["{kee}", "{key", "{}"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        let keyless = record(Sample { offset: 1, key: None, value: None, headers: &[] });
        assert!(Template::parse("{key}").unwrap().fill(&keyless).is_err());
    }
}
