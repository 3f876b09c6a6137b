//! Where two tellings of a message differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::row::{Message, Row};

/// In one aspect of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference<T> {
    /// `FetchRequest.topics.partitions`.
    pub(crate) place: T,
    pub(crate) aspect: T,
    pub(crate) kafka: T,
    pub(crate) ours: T,
}

impl<T: fmt::Display> fmt::Display for Difference<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is {} in Kafka, {} here", self.place, self.aspect, self.kafka, self.ours)
    }
}

/// A difference that is as it should be, and why.
pub(crate) type Meant = (Difference<&'static str>, &'static str);

/// What is said of each place, by aspect.
type Facts = BTreeMap<String, BTreeMap<&'static str, String>>;

/// Every difference between two messages.
pub(crate) fn differences(kafka: &Message, ours: &Message) -> Vec<Difference<String>> {
    let (kafka, ours) = (facts(kafka), facts(ours));
    let places: BTreeSet<_> = kafka.keys().chain(ours.keys()).collect();
    let mut found = Vec::new();
    for place in places {
        match (kafka.get(place), ours.get(place)) {
            (Some(kafka), Some(ours)) => found.extend(differences_at(place, kafka, ours)),
            (kafka, ours) => found.push(Difference {
                place: place.clone(),
                aspect: "row".to_owned(),
                kafka: presence(kafka.is_some()),
                ours: presence(ours.is_some()),
            }),
        }
    }
    found
}

fn presence(there: bool) -> String {
    if there { "there" } else { "missing" }.to_owned()
}

fn differences_at(
    place: &str,
    kafka: &BTreeMap<&'static str, String>,
    ours: &BTreeMap<&'static str, String>,
) -> Vec<Difference<String>> {
    let aspects: BTreeSet<_> = kafka.keys().chain(ours.keys()).collect();
    let said = |facts: &BTreeMap<&str, String>, aspect| facts.get(aspect).cloned().unwrap_or_default();
    let told = aspects.into_iter().map(|aspect| Difference {
        place: place.to_owned(),
        aspect: (*aspect).to_owned(),
        kafka: said(kafka, aspect),
        ours: said(ours, aspect),
    });
    told.filter(|it| it.kafka != it.ours).collect()
}

fn facts(message: &Message) -> Facts {
    let mut facts = Facts::from([(message.name.clone(), message.facts.iter().cloned().collect())]);
    collect(&message.name, &message.rows, &mut facts);
    facts
}

/// Rows, and in which order those come that have no tag.
fn collect(place: &str, rows: &[Row], facts: &mut Facts) {
    let order: Vec<_> = rows.iter().filter(|row| row.tag.is_none()).map(|row| row.name.as_str()).collect();
    facts.entry(place.to_owned()).or_default().insert("order", order.join(", "));
    for row in rows {
        let place = format!("{place}.{}", row.name);
        facts.entry(place.clone()).or_default().extend(row.facts());
        if !row.rows.is_empty() {
            collect(&place, &row.rows, facts);
        }
    }
}

/// What is wrong: differences that nobody meant, and meant ones that are none.
pub(crate) fn unexplained(found: &[Difference<String>], meant: &[Meant]) -> Vec<String> {
    let is = |found: &Difference<String>, meant: &Difference<&str>| {
        (found.place.as_str(), found.aspect.as_str()) == (meant.place, meant.aspect)
            && (found.kafka.as_str(), found.ours.as_str()) == (meant.kafka, meant.ours)
    };
    let unmeant = found.iter().filter(|it| !meant.iter().any(|(meant, _)| is(it, meant)));
    let stale = meant.iter().filter(|(meant, _)| !found.iter().any(|it| is(it, meant)));
    unmeant.map(ToString::to_string).chain(stale.map(|(it, _)| format!("it is not so that {it}"))).collect()
}

#[cfg(test)]
mod tests {
    use vltava_wire::{Uuid, describe::table};

    use super::*;
    use crate::{definition::Definition, table};

    const DEFINITION: &str = r#"
    // A license comes first.
    {
      "apiKey": 7, "type": "request", "listeners": ["broker"], "name": "Sample",
      "validVersions": "1-4", // and why
      "flexibleVersions": "2+",
      "fields": [
        { "name": "TimeoutMs", "type": "int32", "versions": "0+", "default": "60000", "ignorable": true,
          "about": "\"//\" is no comment here." },
        { "name": "Type", "type": "int8", "versions": "2+" },
        { "name": "Topics", "type": "[]Topic", "versions": "0-3", "nullableVersions": "2+", "ignorable": true,
          "fields": [
            { "name": "Name", "type": "string", "versions": "0+", "nullableVersions": "0+", "default": "null" },
            { "name": "Partitions", "type": "[]int32", "versions": "0+" }
        ]},
        { "name": "TopicId", "type": "uuid", "versions": "3+", "taggedVersions": "3+", "tag": 0 }
      ]
    }"#;

    /// Every difference of our table from the definition, as aspects of places.
    fn found(ours: &vltava_wire::describe::Table) -> Vec<String> {
        let definition = Definition::parse(DEFINITION);
        let ours = table::message(ours, &definition.valid(), Vec::new());
        differences(&definition.message(), &ours).iter().map(ToString::to_string).collect()
    }

    mod right {
        use super::*;

        vltava_wire::messages! {
            pub struct Sample {
                timeout_ms: i32 = 60_000 => 0..;
                #[required] kind: i8 => 2..;
                topics: Option<Vec<Topic>> = Some(Vec::new()) => 0..=3, nullable 2..;
            } tagged {
                0 => #[required] topic_id: Uuid => 3..;
            }

            pub struct Topic {
                name: Option<String> => 0..;
                partitions: Vec<i32> => 0..;
            }
        }
    }

    #[test]
    fn a_right_table_has_no_difference() {
        assert_eq!(found(&table::<right::Sample>()), [""; 0]);
    }

    mod wrong {
        use super::*;

        vltava_wire::messages! {
            pub struct Sample {
                #[required] kind: i8 => 1..;
                timeout_ms: i32 => 0..;
                topics: Vec<Topic> => 0..;
            } tagged {
                1 => topic_id: Uuid => 3..;
            }

            pub struct Topic {
                name: Option<String> = Some(String::new()) => 0..;
                replicas: Vec<i32> => 0..;
                partitions: Vec<i64> => 1..=2;
            }
        }
    }

    #[test]
    fn every_slip_is_seen() {
        let expected = [
            "Sample: order is timeout_ms, kind, topics in Kafka, kind, timeout_ms, topics here",
            "Sample.kind: versions is 2-4 in Kafka, 1-4 here",
            "Sample.timeout_ms: default is 60000 in Kafka, 0 here",
            "Sample.topic_id: required is true in Kafka, false here",
            "Sample.topic_id: tag is 0 in Kafka, 1 here",
            "Sample.topics: nullable is 2-3 in Kafka, never here",
            "Sample.topics: order is name, partitions in Kafka, name, replicas, partitions here",
            "Sample.topics: versions is 1-3 in Kafka, 1-4 here",
            "Sample.topics.name: default is null in Kafka, \"\" here",
            "Sample.topics.name: nullable is 1-3 in Kafka, 1-4 here",
            "Sample.topics.name: versions is 1-3 in Kafka, 1-4 here",
            "Sample.topics.partitions: type is []int32 in Kafka, []int64 here",
            "Sample.topics.partitions: versions is 1-3 in Kafka, 1-2 here",
            "Sample.topics.replicas: row is missing in Kafka, there here",
        ];
        assert_eq!(found(&table::<wrong::Sample>()), expected);
    }

    #[test]
    fn what_is_meant_is_no_fault_and_what_differs_no_more_is_one() {
        let difference = |kafka| Difference { place: "M.f", aspect: "type", kafka, ours: "int8" };
        let found = [Difference {
            place: "M.f".to_owned(),
            aspect: "type".to_owned(),
            kafka: "int16".to_owned(),
            ours: "int8".to_owned(),
        }];
        assert_eq!(unexplained(&found, &[]), ["M.f: type is int16 in Kafka, int8 here"]);
        assert_eq!(unexplained(&found, &[(difference("int16"), "it fits")]), [""; 0]);
        let stale = "it is not so that M.f: type is int16 in Kafka, int8 here";
        assert_eq!(unexplained(&[], &[(difference("int16"), "it fits")]), [stale]);
    }
}
