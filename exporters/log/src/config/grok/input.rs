//! The part `input` of a grok_exporter configuration.

use super::document::{Input, text};
use crate::config::scalar::List;
use crate::input::{Files, Http, HttpFormat, Settings, Stdin};

/// The input, and what an operator should know of it.
pub(super) fn settings(input: Option<&Input>, version: u32) -> Result<(Settings, Vec<String>), String> {
    let default = Input::default();
    let input = input.unwrap_or(&default);
    let kind = text(input.kind.as_ref()).unwrap_or("stdin");
    let paths = input.paths.as_ref().map(|p| p.0.clone()).unwrap_or_default();
    let path = text(input.path.as_ref());
    if matches!(kind, "stdin" | "webhook") {
        for (key, given) in [
            ("path", path.is_some()),
            ("paths", !paths.is_empty()),
            ("readall", input.readall == Some(true)),
            ("poll_interval", input.poll_interval.is_some_and(|p| !p.0.is_zero())),
        ] {
            if given {
                return Err(format!("input.{key}: cannot be used when input.type is {kind}"));
            }
        }
    }
    let settings = match kind {
        "file" => {
            let paths = match path {
                Some(_) if !paths.is_empty() => return Err("input: use either path or paths but not both".into()),
                Some(path) => vec![path.to_owned()],
                None if paths.is_empty() => return Err("input: one of path and paths is required".into()),
                None => paths,
            };
            let missing = text(input.fail_on_missing_logfile.as_ref()).unwrap_or("true");
            Settings::File(Files {
                read_from_start: input.readall == Some(true),
                fail_on_missing: parse_bool(missing)
                    .ok_or_else(|| format!("input.fail_on_missing_logfile: '{missing}' is not true or false"))?,
                poll_interval: input.poll_interval.map(|p| p.0).filter(|p| !p.is_zero()),
                ..Files::of(paths)
            })
        }
        "stdin" => Settings::Stdin(Stdin { name: "stdin".into(), exit_at_end: true, multiline: None }),
        "webhook" => Settings::Http(webhook(input, version)?),
        "kafka" => {
            for (key, list) in [("kafka_brokers", &input.kafka_brokers), ("kafka_topics", &input.kafka_topics)] {
                if list.as_ref().is_none_or(|List(l)| l.is_empty()) {
                    return Err(format!("input.{key}: must not be empty"));
                }
            }
            // Differs from grok_exporter: no Kafka client is built in.
            return Err(
                "input.type: kafka is not supported; let Logstash or Vector send the topic to type webhook".into()
            );
        }
        other => return Err(format!("input.type: '{other}' is not supported; file, stdin and webhook are")),
    };
    settings.check().map_err(|e| format!("input: {e}"))?;
    let mut warnings = Vec::new();
    if input.max_lines_in_buffer.is_some_and(|n| n > 0) {
        // Differs from grok_exporter: a full queue slows the reader down instead of being thrown away.
        warnings.push("input.max_lines_in_buffer: ignored; no line is thrown away".to_owned());
    }
    Ok((settings, warnings))
}

fn webhook(input: &Input, version: u32) -> Result<Http, String> {
    let format = match text(input.webhook_format.as_ref()).unwrap_or("text_single") {
        "text_single" => HttpFormat::TextSingle,
        "text_bulk" => HttpFormat::TextBulk,
        "json_single" => HttpFormat::JsonSingle,
        "json_bulk" => HttpFormat::JsonBulk,
        "json_lines" if version == 3 => HttpFormat::JsonLines,
        other => {
            let lines = if version == 3 { ", json_lines" } else { "" };
            return Err(format!(
                "input.webhook_format: '{other}' is none of text_single, text_bulk, json_single, json_bulk{lines}"
            ));
        }
    };
    let mut http = Http::of(format);
    http.nested = format == HttpFormat::JsonBulk;
    if let Some(path) = text(input.webhook_path.as_ref()) {
        path.clone_into(&mut http.path);
    }
    if let Some(selector) = text(input.webhook_json_selector.as_ref()) {
        selector.clone_into(&mut http.selector);
    }
    if let Some(separator) = text(input.webhook_text_bulk_separator.as_ref()) {
        separator.clone_into(&mut http.separator);
    }
    if !http.path.starts_with('/') {
        return Err("input.webhook_path: must begin with '/'".into());
    }
    if !http.selector.starts_with('.') {
        return Err("input.webhook_json_selector: must begin with '.'".into());
    }
    Ok(http)
}

/// As Go's `strconv.ParseBool`: `yes` and `no` are refused.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
