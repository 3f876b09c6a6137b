//! What the tables of `messages!` and `apis!` say, as data: for tests that compare them with Kafka's own definitions.
//!
//! `messages!` derives [`Described`] for every struct from the same rows it encodes by; [`exchanges`] lists them all.

use std::ops::{Bound, RangeBounds, RangeInclusive};

use bytes::Bytes;

use crate::{api::Api, primitive::Uuid};

/// A declared struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its rows, in the order of the wire, then the tagged ones.
    pub fields: Vec<Field>,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, in snake case.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The versions that have it; without an end, the last is `i16::MAX`.
    pub versions: RangeInclusive<i16>,
    /// The versions in which it may be null.
    pub nullable: Option<RangeInclusive<i16>>,
    /// Its number, if it is among the tagged.
    pub tag: Option<u32>,
    /// What it holds unless said otherwise, as [`Described::text`].
    pub default: String,
    /// Whether encoding fails where the version lacks it and it is not the default.
    pub required: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// One of Kafka's primitive types, by Kafka's name.
    Primitive(&'static str),
    /// Many of a kind.
    Array(Box<Kind>),
    /// A struct.
    Struct(Table),
}

/// A type that a row may have.
pub trait Described {
    /// Whether it has a null.
    const NULLABLE: bool = false;

    /// What it is to Kafka.
    fn kind() -> Kind;

    /// The value as text: `null`, `[]`, `{}` for a struct as it is by default, else as Rust would write it.
    fn text(&self) -> String;
}

macro_rules! primitives {
    ($($type:ty: $name:literal;)*) => {$(
        impl Described for $type {
            fn kind() -> Kind {
                Kind::Primitive($name)
            }

            fn text(&self) -> String {
                format!("{self:?}")
            }
        }
    )*};
}

primitives! {
    bool: "bool";
    i8: "int8";
    i16: "int16";
    u16: "uint16";
    i32: "int32";
    u32: "uint32";
    i64: "int64";
    f64: "float64";
    Uuid: "uuid";
    String: "string";
}

impl Described for Bytes {
    fn kind() -> Kind {
        Kind::Primitive("bytes")
    }

    fn text(&self) -> String {
        format!("{:?}", self.as_ref())
    }
}

impl<T: Described> Described for Vec<T> {
    fn kind() -> Kind {
        Kind::Array(Box::new(T::kind()))
    }

    fn text(&self) -> String {
        format!("[{}]", self.iter().map(T::text).collect::<Vec<_>>().join(", "))
    }
}

impl<T: Described> Described for Option<T> {
    const NULLABLE: bool = true;

    fn kind() -> Kind {
        T::kind()
    }

    fn text(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), T::text)
    }
}

impl Field {
    /// A row, told by its default.
    pub fn new<T: Described>(name: &'static str, default: &T, versions: &impl RangeBounds<i16>) -> Self {
        let versions = closed(versions);
        let nullable = T::NULLABLE.then(|| versions.clone());
        Self {
            name,
            kind: T::kind(),
            versions,
            nullable,
            tag: None,
            default: default.text(),
            required: false,
        }
    }

    /// `nullable` versions.
    pub fn nullable(self, versions: &impl RangeBounds<i16>) -> Self {
        Self { nullable: Some(closed(versions)), ..self }
    }

    /// `#[required]`.
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Among the tagged.
    pub fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }
}

fn closed(versions: &impl RangeBounds<i16>) -> RangeInclusive<i16> {
    let first = match versions.start_bound() {
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let last = match versions.end_bound() {
        Bound::Included(last) => *last,
        Bound::Excluded(after) => after - 1,
        Bound::Unbounded => i16::MAX,
    };
    first..=last
}

/// A row of the table of APIs.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Which.
    pub api: Api,
    /// What is asked.
    pub request: Table,
    /// What is answered.
    pub response: Table,
}

/// Every request with its response, in the order of their APIs.
pub fn exchanges() -> Vec<Exchange> {
    crate::api::exchanges()
}

/// The table of a struct.
///
/// # Panics
///
/// If `T` is not a struct.
pub fn table<T: Described>() -> Table {
    match T::kind() {
        Kind::Struct(table) => table,
        other => panic!("{other:?} is not a struct"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::messages! {
        pub struct Outer {
            #[required] count: i32 = -1 => 1..;
            names: Option<Vec<String>> = Some(Default::default()) => 0..=7, nullable 2..=7;
            inner: Inner => 0..;
        } tagged {
            4 => #[required] id: Uuid => 3..;
        }

        pub struct Inner {
            payload: Option<Bytes> => 0..3;
        }
    }

    fn row(name: &'static str, kind: Kind, versions: RangeInclusive<i16>, default: &str) -> Field {
        Field {
            name,
            kind,
            versions,
            nullable: None,
            tag: None,
            default: default.to_owned(),
            required: false,
        }
    }

    #[test]
    fn a_table_is_told_as_it_is_declared() {
        let payload = row("payload", Kind::Primitive("bytes"), 0..=2, "null");
        let inner = Table { name: "Inner", fields: vec![Field { nullable: Some(0..=2), ..payload }] };
        let strings = Kind::Array(Box::new(Kind::Primitive("string")));
        let fields = vec![
            Field { required: true, ..row("count", Kind::Primitive("int32"), 1..=i16::MAX, "-1") },
            Field { nullable: Some(2..=7), ..row("names", strings, 0..=7, "[]") },
            row("inner", Kind::Struct(inner), 0..=i16::MAX, "{}"),
            Field {
                tag: Some(4),
                required: true,
                ..row("id", Kind::Primitive("uuid"), 3..=i16::MAX, "AAAAAAAAAAAAAAAAAAAAAA")
            },
        ];
        assert_eq!(table::<Outer>(), Table { name: "Outer", fields });
    }

    #[test]
    fn every_api_is_told_with_its_own_messages() {
        let exchanges = exchanges();
        assert_eq!(exchanges.iter().map(|it| it.api).collect::<Vec<_>>(), Api::ALL);
        for Exchange { api, request, response } in exchanges {
            assert_eq!(request.name, format!("{api:?}Request"));
            assert_eq!(response.name, format!("{api:?}Response"));
        }
    }
}
