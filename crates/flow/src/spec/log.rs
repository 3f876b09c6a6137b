//! The `log` section: how much is logged. Where and in which form is not for this file to say yet.

use super::{
    Error,
    section::{Field, Key},
};

/// The keys of `log`.
pub(super) const KEYS: &[Key] = &[
    Key::new("level", "error, warn, info, debug or trace", "info", "the least that is logged"),
    Key::unbuilt("file", "a path", "logs go to stderr, so far"),
    Key::unbuilt("rotationsize", "MB", "logs go to stderr, so far"),
    Key::unbuilt("rotationcount", "days", "logs go to stderr, so far"),
    Key::unbuilt("format", "text, json or ecs", "logs are text, so far"),
];

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    /// What someone must act on.
    Error,
    /// And what may become that.
    Warn,
    /// And what a flow does.
    #[default]
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl Level {
    /// As `tracing` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The `log` section.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    /// The least that is logged; none where the file does not say.
    pub level: Option<Level>,
}

impl Log {
    pub(super) fn read(field: Field<'_>) -> Result<Self, Error> {
        let section = field.section(KEYS)?;
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        let words = levels.map(|level| (level.name(), Some(level)));
        Ok(Self { level: section.field("level").map(|it| it.one_of(&words)).transpose()? })
    }
}
