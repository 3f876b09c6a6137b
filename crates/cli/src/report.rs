//! How a command fails: what was being done, to whom, what happened, the likely remedy; and the exit code.

use std::{
    error::Error,
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

/// Why the program ends, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Failure,
    /// The command line or the flow's file is at fault.
    Usage,
    /// What was asked for is not there.
    NotFound,
}

/// What a command ends with when it cannot do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    /// Lines under the first one: causes, what was seen.
    notes: Vec<String>,
    fix: Option<String>,
    /// The reader of our output went away: nobody is left to tell.
    silent: bool,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Failure {
        Failure { exit: Exit::Failure, what: what.into(), notes: Vec::new(), fix: None, silent: false }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Failure {
        Failure { exit: Exit::Usage, ..Failure::new(what) }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Failure {
        Failure { exit: Exit::NotFound, ..Failure::new(what) }
    }

    /// `what` went wrong because of `cause`; its whole chain is shown, each line once.
    pub(crate) fn because(what: impl Into<String>, cause: &(dyn Error + 'static)) -> Failure {
        let mut failure = Failure::new(what);
        let mut next = Some(cause);
        while let Some(cause) = next {
            failure = failure.note(cause.to_string());
            next = cause.source();
        }
        failure
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Failure {
        let note = note.into();
        if note != self.what && !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self
    }

    /// One thing to do about it, as a sentence or a command to type.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Failure {
        self.fix = Some(fix.into());
        self
    }

    /// Tells the user, unless nobody listens, and says how the program ends.
    pub(crate) fn report(&self) -> ExitCode {
        if self.silent {
            return ExitCode::SUCCESS;
        }
        // A closed stderr is no reason to end otherwise.
        let _ = write!(io::stderr(), "{self}");
        match self.exit {
            Exit::Failure => ExitCode::from(1),
            Exit::Usage => ExitCode::from(2),
            Exit::NotFound => ExitCode::from(3),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        for line in self.notes.iter().chain(&self.fix).flat_map(|note| note.lines()) {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

impl From<io::Error> for Failure {
    /// For stdout and stdin; a file's errors say which file, and come by `because`.
    fn from(error: io::Error) -> Failure {
        let silent = error.kind() == io::ErrorKind::BrokenPipe;
        Failure { silent, ..Failure::new(format!("reading or writing a pipe: {error}")) }
    }
}

impl From<vltava::Error> for Failure {
    fn from(error: vltava::Error) -> Failure {
        let mut failure = Failure::new(error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            failure = failure.note(error.to_string());
            cause = error.source();
        }
        match error.likely_fix() {
            Some(fix) => failure.fix(fix),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Because(&'static str, Option<io::Error>);

    impl fmt::Display for Because {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Because {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|cause| cause as _)
        }
    }

    #[test]
    fn a_report_has_the_chain_of_causes_and_the_fix_last() {
        let cause = Because("tcp: a:9092", Some(io::Error::other("connection refused")));
        let failure = Failure::because("no broker answers", &cause).fix("start one: vltava broker");
        let expected = "\
error: no broker answers
  tcp: a:9092
  connection refused
  start one: vltava broker
";
        assert_eq!(failure.to_string(), expected);
    }

    #[test]
    fn a_cause_that_only_repeats_is_shown_once() {
        let cause = Because("no broker answers", Some(io::Error::other("no broker answers")));
        let failure = Failure::because("no broker answers", &cause);
        assert_eq!(failure.to_string(), "error: no broker answers\n");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.report(), ExitCode::SUCCESS);
    }
}
