//! `messages!`: a message is declared once, as a table of its fields and the versions each is in.
//!
//! A row reads `field: Type = default => versions, nullable versions;`. `nullable` is said where null is not
//! allowed in every version that has the field. `#[required]` marks a field that must not be dropped in silence:
//! when it is set and the version lacks it, encoding fails. Rows of the `tagged` block start with their tag.
//! Names are Kafka's, in snake case.

use std::ops::RangeBounds;

use crate::{
    decode_error::{DecodeError, DecodeErrorKind},
    decoder::Decoder,
    encoder::{EncodeError, EncodeErrorKind, Encoder},
    limits::{TAG_BYTES_MAX, TAGS_MAX},
    primitive::Wire,
    version::Version,
};

/// Declares wire structs from tables.
#[macro_export]
macro_rules! messages {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$mark:ident])? $field:ident : $type:ty $(= $default:expr)? => $versions:expr $(, nullable $nullable:expr)?;)*
        }
        $(tagged {
            $($tag:literal => $(#[$tmark:ident])? $tfield:ident : $ttype:ty $(= $tdefault:expr)? => $tversions:expr;)*
        })?
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, unreachable_pub)]
        pub struct $name {
            $(pub $field: $type,)*
            $($(pub $tfield: $ttype,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $crate::messages!(@default $($default)?),)*
                    $($($tfield: $crate::messages!(@default $($tdefault)?),)*)?
                }
            }
        }

        impl $crate::Wire for $name {
            #[allow(unused_variables)]
            fn encode(&self, out: &mut $crate::Encoder, version: $crate::Version) -> Result<(), $crate::EncodeError> {
                $(
                    if ($versions).contains(&version.number) {
                        $($crate::schema::check_null(&self.$field, &($nullable), version, stringify!($field))?;)?
                        $crate::schema::put_field(&self.$field, out, version, stringify!($field))?;
                    } else {
                        $crate::messages!(
                            @absent [$($mark)?] self.$field, $type, [$($default)?], version, stringify!($field)
                        );
                    }
                )*
                if version.flexible {
                    #[allow(unused_mut)]
                    let mut tags: Vec<(u32, $crate::Encoder)> = Vec::new();
                    $($(
                        if ($tversions).contains(&version.number)
                            && self.$tfield != $crate::messages!(@typed $ttype, [$($tdefault)?])
                        {
                            let mut value = $crate::Encoder::default();
                            $crate::schema::put_field(&self.$tfield, &mut value, version, stringify!($tfield))?;
                            tags.push(($tag, value));
                        }
                    )*)?
                    $crate::schema::put_tags(out, tags);
                }
                $($(
                    if !version.flexible || !($tversions).contains(&version.number) {
                        $crate::messages!(
                            @absent [$($tmark)?] self.$tfield, $ttype, [$($tdefault)?], version, stringify!($tfield)
                        );
                    }
                )*)?
                Ok(())
            }

            #[allow(unused_variables)]
            fn decode(input: &mut $crate::Decoder) -> Result<Self, $crate::DecodeError> {
                let version = input.version();
                #[allow(unused_mut)]
                let mut message = Self::default();
                $(if ($versions).contains(&version.number) {
                    message.$field = $crate::schema::field(input, stringify!($field))?;
                    $($crate::schema::expect_value(&message.$field, &($nullable), input, stringify!($field))?;)?
                })*
                if version.flexible {
                    $crate::schema::tags(input, |tag, input| {
                        match tag {
                            $($($tag if ($tversions).contains(&version.number) => {
                                message.$tfield = $crate::schema::field(input, stringify!($tfield))?;
                            })*)?
                            _ => return Ok(false),
                        }
                        #[allow(unreachable_code)]
                        Ok(true)
                    })?;
                }
                Ok(message)
            }
        }

        impl $crate::schema::Struct for $name {
            #[allow(unreachable_code)]
            fn throttle_time_ms(&self) -> i32 {
                $($crate::messages!(@throttled $field, self.$field);)*
                0
            }
        }

        $crate::when_sampled! {
            impl $crate::sample::Sample for $name {
                #[allow(unused_variables)]
                fn sample(dice: &mut $crate::sample::Dice, version: $crate::Version) -> Self {
                    #[allow(unused_mut)]
                    let mut message = Self::default();
                    $(if ($versions).contains(&version.number) {
                        message.$field = $crate::sample::Sample::sample(dice, version);
                        $(if message.$field.is_none() && !($nullable).contains(&version.number) {
                            message.$field = Some($crate::sample::Sample::sample(dice, version));
                        })?
                    })*
                    $($(if version.flexible && ($tversions).contains(&version.number) && dice.below(4) > 0 {
                        message.$tfield = $crate::sample::Sample::sample(dice, version);
                    })*)?
                    message
                }
            }

            impl $crate::describe::Described for $name {
                fn kind() -> $crate::describe::Kind {
                    let default = Self::default();
                    let fields = vec![
                        $(
                            $crate::describe::Field::new(stringify!($field), &default.$field, &($versions))
                                $(.nullable(&($nullable)))?
                                $(.$mark())?,
                        )*
                        $($(
                            $crate::describe::Field::new(stringify!($tfield), &default.$tfield, &($tversions))
                                .tagged($tag)
                                $(.$tmark())?,
                        )*)?
                    ];
                    $crate::describe::Kind::Struct($crate::describe::Table { name: stringify!($name), fields })
                }

                fn text(&self) -> String {
                    if *self == Self::default() { "{}".to_owned() } else { format!("{self:?}") }
                }
            }
        }
    )*};
    (@throttled throttle_time_ms, $value:expr) => { return $value; };
    (@throttled $other:ident, $value:expr) => {};
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@typed $type:ty, []) => { <$type>::default() };
    (@typed $type:ty, [$default:expr]) => {{ let default: $type = $default; default }};
    (@absent [] $field:expr, $type:ty, [$($default:expr)?], $version:expr, $name:expr) => {};
    (@absent [required] $field:expr, $type:ty, [$($default:expr)?], $version:expr, $name:expr) => {
        if $field != $crate::messages!(@typed $type, [$($default)?]) {
            return Err($crate::schema::not_in_version($name, $version));
        }
    };
}

/// Keeps what only tests need, by the features of this crate and not of the one that declares a message.
#[doc(hidden)]
#[macro_export]
#[cfg(any(test, feature = "sample"))]
macro_rules! when_sampled {
    ($($item:item)*) => { $($item)* };
}

#[doc(hidden)]
#[macro_export]
#[cfg(not(any(test, feature = "sample")))]
macro_rules! when_sampled {
    ($($item:item)*) => {};
}

/// A declared struct, as opposed to a primitive: where it may be null, a byte says whether it is there.
pub trait Struct: Wire {
    /// How long a broker wants not to be asked, if it is an answer that says so.
    fn throttle_time_ms(&self) -> i32;
}

impl<T: Struct> Wire for Option<T> {
    fn encode(&self, out: &mut Encoder, version: Version) -> Result<(), EncodeError> {
        match self {
            Some(message) => {
                out.put(&[1]);
                message.encode(out, version)
            }
            None => {
                out.put(&(-1i8).to_be_bytes());
                Ok(())
            }
        }
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        match i8::decode(input)? {
            ..0 => Ok(None),
            _ => T::decode(input).map(Some),
        }
    }
}

#[doc(hidden)]
pub fn put_field<T: Wire>(
    value: &T,
    out: &mut Encoder,
    version: Version,
    field: &'static str,
) -> Result<(), EncodeError> {
    value
        .encode(out, version)
        .map_err(|error| if error.field.is_empty() { EncodeError { field, ..error } } else { error })
}

#[doc(hidden)]
pub fn check_null<T>(
    value: &Option<T>,
    nullable: &impl RangeBounds<i16>,
    version: Version,
    field: &'static str,
) -> Result<(), EncodeError> {
    if value.is_none() && !nullable.contains(&version.number) {
        return Err(EncodeError { field, version: version.number, kind: EncodeErrorKind::NullNotInVersion });
    }
    Ok(())
}

#[doc(hidden)]
pub fn not_in_version(field: &'static str, version: Version) -> EncodeError {
    EncodeError { field, version: version.number, kind: EncodeErrorKind::NotInVersion }
}

/// Writes the tagged section that closes every struct of a flexible version.
#[doc(hidden)]
pub fn put_tags(out: &mut Encoder, tags: Vec<(u32, Encoder)>) {
    out.put_varint(tags.len() as u32);
    for (tag, value) in tags {
        out.put_varint(tag);
        out.put_varint(value.len() as u32);
        out.append(value);
    }
}

#[doc(hidden)]
pub fn field<T: Wire>(input: &mut Decoder, field: &'static str) -> Result<T, DecodeError> {
    T::decode(input).map_err(|error| error.in_field(field))
}

#[doc(hidden)]
pub fn expect_value<T>(
    value: &Option<T>,
    nullable: &impl RangeBounds<i16>,
    input: &Decoder,
    field: &'static str,
) -> Result<(), DecodeError> {
    if value.is_none() && !nullable.contains(&input.version().number) {
        return Err(input.error(DecodeErrorKind::UnexpectedNull).in_field(field));
    }
    Ok(())
}

/// Reads a tagged section. `read` takes the values it knows and answers `false` for the others, which are skipped.
#[doc(hidden)]
pub fn tags(
    input: &mut Decoder,
    mut read: impl FnMut(u32, &mut Decoder) -> Result<bool, DecodeError>,
) -> Result<(), DecodeError> {
    let count = section(input.varint())? as usize;
    section(input.limit("tagged fields of a struct", TAGS_MAX, count))?;
    for _ in 0..count {
        let tag = section(input.varint())?;
        let length = section(input.varint())? as usize;
        section(input.limit("bytes of a tagged field", TAG_BYTES_MAX, length))?;
        let value = |input: &mut Decoder| {
            if !read(tag, input)? {
                input.take(input.remaining())?;
            }
            Ok(())
        };
        input.within(length, value).or_else(|error| match error.nesting() {
            0 => section(Err(error)),
            _ => Err(error),
        })?;
    }
    Ok(())
}

/// Says that it was in a tagged section, by the name that Kafka gives it.
fn section<T>(read: Result<T, DecodeError>) -> Result<T, DecodeError> {
    read.map_err(|error| error.in_field("_tagged_fields"))
}
