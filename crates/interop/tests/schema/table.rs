//! Our tables, as rows.

use vltava_wire::{
    Api,
    describe::{Exchange, Field, Kind, Table},
};

use crate::row::{Message, NEVER, Row, Versions, meet, said};

/// Request and response of an API.
pub(crate) fn messages(exchange: &Exchange) -> [Message; 2] {
    let Exchange { api, request, response } = exchange;
    let facts = [("versions", api.versions()), ("flexible", flexible(*api)), ("unstable", NEVER)];
    let facts = facts.map(|(aspect, versions)| (aspect, said(&versions))).to_vec();
    [request, response].map(|table| message(table, &api.versions(), facts.clone()))
}

/// A struct that is valid in some versions.
pub(crate) fn message(table: &Table, valid: &Versions, facts: Vec<(&'static str, String)>) -> Message {
    Message { name: table.name.to_owned(), facts, rows: rows(table, valid) }
}

fn flexible(api: Api) -> Versions {
    let mut flexible = api.versions().filter(|number| api.version(*number).flexible);
    match flexible.next() {
        Some(first) => {
            assert_eq!(
                first + flexible.count() as i16,
                *api.versions().end(),
                "{api:?}: once flexible, always"
            );
            first..=*api.versions().end()
        }
        None => NEVER,
    }
}

fn rows(table: &Table, scope: &Versions) -> Vec<Row> {
    table.fields.iter().map(|field| row(field, scope)).collect()
}

fn row(field: &Field, scope: &Versions) -> Row {
    let versions = meet(scope, &field.versions);
    Row {
        name: field.name.to_owned(),
        kind: kind(&field.kind),
        nullable: field.nullable.as_ref().map(|nullable| meet(&versions, nullable)),
        tag: field.tag.map(|tag| tag.to_string()),
        default: field.default.clone(),
        required: field.required,
        rows: table_in(&field.kind).map(|table| rows(table, &versions)).unwrap_or_default(),
        versions,
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Primitive(name) => (*name).to_owned(),
        Kind::Array(items) => format!("[]{}", self::kind(items)),
        Kind::Struct(table) => table.name.to_owned(),
    }
}

fn table_in(kind: &Kind) -> Option<&Table> {
    match kind {
        Kind::Primitive(_) => None,
        Kind::Array(items) => table_in(items),
        Kind::Struct(table) => Some(table),
    }
}
