//! Joining lines into one event, as Filebeat does it.

use super::Multiline;

/// Whether the settings can be used.
pub(crate) fn check(settings: Option<&Multiline>) -> Result<(), String> {
    let Some(settings) = settings else { return Ok(()) };
    if settings.max_lines == 0 {
        return Err("multiline: max_lines: expected a number above 0".into());
    }
    service::parse_regex(&settings.pattern).map(drop).map_err(|e| format!("multiline: pattern: {e}"))
}
