//! A kind of compression together with how hard it tries, as Kafka's `compression.type` and
//! `compression.gzip.level`, `compression.lz4.level` and `compression.zstd.level` say it (KIP-390).

use std::{fmt, ops::RangeInclusive, str::FromStr};

use super::Compression;

/// A kind of compression at one of its levels. A kind alone becomes a codec at Kafka's default level. As a text it
/// is `zstd`, or `zstd:7` with a level.
///
/// | | levels | default |
/// |---|---|---|
/// | gzip | 1 to 9 | 6 |
/// | lz4 | 9 | 9 |
/// | zstd | -131072 to 22 | 3 |
///
/// lz4 has one level here, LZ4's fast method, and 9 is the number that Kafka gives it: Java's client takes any other
/// one for LZ4's slow method (HC), which is not written here. Both are read alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Codec {
    compression: Compression,
    level: i32,
}

impl Compression {
    /// This kind at a level of its own. For gzip, -1 is the default one, as in Kafka.
    pub fn at_level(self, level: i32) -> Result<Codec, BadLevel> {
        match self.levels() {
            _ if self == Self::Gzip && level == -1 => Ok(self.into()),
            Some((levels, _)) if levels.contains(&level) => Ok(Codec { compression: self, level }),
            _ => Err(BadLevel { compression: self, level }),
        }
    }

    /// Its levels and the one that Kafka takes unless told otherwise, if it has any.
    fn levels(self) -> Option<(RangeInclusive<i32>, i32)> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some((1..=9, 6)),
            Self::Lz4 => Some((9..=9, 9)),
            Self::Zstd => Some((-131_072..=22, 3)),
        }
    }
}

impl Codec {
    /// How it packs.
    pub fn compression(self) -> Compression {
        self.compression
    }

    /// How hard it tries; 0 where there are no levels.
    pub fn level(self) -> i32 {
        self.level
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        Self { compression, level: compression.levels().map_or(0, |(_, default)| default) }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self == self.compression.into() {
            true => self.compression.fmt(f),
            false => write!(f, "{}:{}", self.compression, self.level),
        }
    }
}

impl FromStr for Codec {
    type Err = BadCodec;

    fn from_str(text: &str) -> Result<Self, BadCodec> {
        let Some((name, level)) = text.split_once(':') else {
            return Ok(text.parse::<Compression>()?.into());
        };
        let compression: Compression = name.parse()?;
        let level = level.parse().map_err(|_| BadCodec::NoNumber(level.to_owned()))?;
        Ok(compression.at_level(level)?)
    }
}

/// A name that stands for no kind of compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCompression(pub(super) String);

impl fmt::Display for UnknownCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no compression is called {:?}: it is none, gzip, snappy, lz4 or zstd", self.0)
    }
}

impl std::error::Error for UnknownCompression {}

/// A level that a kind of compression does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLevel {
    compression: Compression,
    level: i32,
}

impl fmt::Display for BadLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compression, level } = self;
        let Some((levels, _)) = compression.levels() else {
            return write!(f, "{compression} has no levels, so none is {level}");
        };
        let (first, last) = levels.into_inner();
        match first == last {
            true => {
                write!(f, "{compression} has no level {level}: compression.{compression}.level is {first}")
            }
            false => write!(
                f,
                "{compression} has no level {level}: compression.{compression}.level is {first} to {last}"
            ),
        }
    }
}

impl std::error::Error for BadLevel {}

/// A text that stands for no codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadCodec {
    /// There is no such kind of compression.
    Unknown(UnknownCompression),
    /// It has no such level.
    Level(BadLevel),
    /// What stands for the level is no number.
    NoNumber(String),
}

impl From<UnknownCompression> for BadCodec {
    fn from(error: UnknownCompression) -> Self {
        Self::Unknown(error)
    }
}

impl From<BadLevel> for BadCodec {
    fn from(error: BadLevel) -> Self {
        Self::Level(error)
    }
}

impl fmt::Display for BadCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(error) => error.fmt(f),
            Self::Level(error) => error.fmt(f),
            Self::NoNumber(level) => write!(f, "the level {level:?} is no number"),
        }
    }
}

impl std::error::Error for BadCodec {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<Codec>().expect_err("it is no codec").to_string()
    }

    #[test]
    fn a_kind_alone_has_the_level_that_kafka_gives_it() {
        let levels = Compression::ALL.map(|kind| Codec::from(kind).level());
        assert_eq!(levels, [0, 6, 0, 9, 3]);
        assert_eq!("zstd".parse(), Ok(Codec::from(Compression::Zstd)));
    }

    #[test]
    fn every_level_of_a_codec_is_taken_and_the_ones_beside_are_not() {
        let ends = [(Compression::Gzip, 1, 9), (Compression::Lz4, 9, 9), (Compression::Zstd, -131_072, 22)];
        for (kind, first, last) in ends {
            for level in [first, last] {
                assert_eq!(kind.at_level(level).map(Codec::level), Ok(level), "{kind}");
            }
            for level in [first - 1, last + 1] {
                assert_eq!(kind.at_level(level), Err(BadLevel { compression: kind, level }));
            }
        }
    }

    #[test]
    fn kafkas_number_for_the_default_of_gzip_is_taken_and_for_no_other() {
        assert_eq!(Compression::Gzip.at_level(-1), Ok(Compression::Gzip.into()));
        assert_eq!(Compression::Zstd.at_level(-1).map(Codec::level), Ok(-1));
        assert!(Compression::Lz4.at_level(-1).is_err());
    }

    #[test]
    fn a_level_that_is_missing_is_refused_by_kafkas_name_for_it() {
        assert_eq!(refused("zstd:23"), "zstd has no level 23: compression.zstd.level is -131072 to 22");
        assert_eq!(refused("gzip:0"), "gzip has no level 0: compression.gzip.level is 1 to 9");
        assert_eq!(refused("lz4:12"), "lz4 has no level 12: compression.lz4.level is 9");
        assert_eq!(refused("snappy:1"), "snappy has no levels, so none is 1");
        assert_eq!(refused("none:0"), "none has no levels, so none is 0");
        assert_eq!(refused("zstd:much"), "the level \"much\" is no number");
        assert!(refused("brotli:1").starts_with("no compression is called \"brotli\""));
    }

    #[test]
    fn a_codec_comes_back_from_its_text() {
        for text in ["none", "gzip", "gzip:1", "snappy", "lz4", "zstd:-7", "zstd:22"] {
            assert_eq!(text.parse::<Codec>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
    }
}
