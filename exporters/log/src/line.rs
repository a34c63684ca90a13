//! One line on its way from an input to the rules.

/// What an input hands over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Without its line end; multi-line events keep the inner ones.
    pub(crate) bytes: &'a [u8],
    /// Full path of the file; empty where no file is.
    pub(crate) file: &'a str,
    /// Name of the input as configured.
    pub(crate) input: &'a str,
    /// The JSON event that the line came in.
    pub(crate) extra: Option<&'a serde_json::Value>,
}
