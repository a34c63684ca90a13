//! Why a source has no numbers.

/// One run of a source that failed. Its text goes to the log and holds no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Nobody there, no such file, no such program, a password that cannot be read.
    #[error("{0}")]
    Connect(String),
    /// The peer answered, and refused: an SQL error, an HTTP status, an exit code.
    #[error("{0}")]
    Answer(String),
    /// The answer is not what the configuration says it is.
    #[error("{0}")]
    Parse(String),
    /// More rows or bytes than allowed.
    #[error("{0}")]
    Limit(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
}

impl Fault {
    /// All values of the label `reason`, so that each counter is there before its first error.
    pub(crate) const REASONS: [&'static str; 5] = ["connect", "answer", "parse", "limit", "timeout"];

    /// Where among [`Self::REASONS`] this one counts.
    pub(crate) fn reason(&self) -> usize {
        match self {
            Self::Connect(_) => 0,
            Self::Answer(_) => 1,
            Self::Parse(_) => 2,
            Self::Limit(_) => 3,
            Self::Timeout => 4,
        }
    }
}
