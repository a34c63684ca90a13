//! User text made harmless for each provider: it may mention nobody and mark nothing up.

use super::config::Kind;

/// Escapes a value as it goes into a template's output.
pub(super) fn value(kind: Kind, text: &str, out: &mut String) {
    for c in text.chars() {
        match kind {
            // "Escaping text" of Slack's and Google Chat's formatting pages; `<!channel>` cannot form without `<`.
            Kind::Slack | Kind::SlackBot | Kind::GoogleChat => match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                // `*`, `_`, `~` and backquotes mark up only at word boundaries: a zero-width space takes them away.
                '*' | '_' | '~' | '`' => out.extend(['\u{200b}', c, '\u{200b}']),
                c => out.push(c),
            },
            // Telegram's HTML style.
            Kind::Telegram => match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                c => out.push(c),
            },
            // Markdown with mentions.
            Kind::Discord | Kind::Mattermost | Kind::Teams => match c {
                '@' | '#' => out.extend([c, '\u{200b}']),
                '<' => out.push_str(if kind == Kind::Discord { "\\<" } else { "&lt;" }),
                '*' | '_' | '~' | '`' | '|' | '[' | ']' | '(' | ')' | '\\' | '>' | '!' => out.extend(['\\', c]),
                c => out.push(c),
            },
            Kind::Email | Kind::Command | Kind::Http => out.push(c),
        }
    }
}

/// Cuts at `limit` as `size` counts it, at a character, saying how much is missing.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let total = text.chars().count();
    if total <= limit {
        return text.to_owned();
    }
    let note = format!("\n… (+{})", total - limit.saturating_sub(24));
    let keep = limit.saturating_sub(note.chars().count());
    let mut out: String = text.chars().take(keep).collect();
    // An escape that was cut in two would show as its beginning.
    if let Some(at) = out.rfind('&').filter(|at| out.len() - at < 6 && !out[*at..].contains(';')) {
        out.truncate(at);
    }
    out.push_str(&note);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(kind: Kind, text: &str) -> String {
        let mut out = String::new();
        value(kind, text, &mut out);
        out
    }

    #[test]
    fn nobody_is_mentioned_and_nothing_marked_up() {
        let text = "<!channel> @everyone <@U1> [x](http://y) *b* <b>";
        for kind in [Kind::Slack, Kind::SlackBot, Kind::GoogleChat, Kind::Telegram, Kind::Mattermost, Kind::Teams] {
            let out = escaped(kind, text);
            assert!(!out.contains('<'), "{kind:?}: {out}");
        }
        for kind in [Kind::Discord, Kind::Mattermost, Kind::Teams] {
            let out = escaped(kind, text);
            assert!(!out.contains("@everyone") && !out.contains("[x]") && !out.contains(" *b"), "{kind:?}: {out}");
        }
    }

    #[test]
    fn what_is_cut_says_so_and_stays_within() {
        let text = "&amp;".repeat(100);
        for limit in [30, 50, 51, 52, 53, 54, 100] {
            let out = cut(&text, limit);
            assert!(out.chars().count() <= limit, "{limit}: {out}");
            assert!(out.contains("… (+"), "{out}");
            assert!(out.split("\n…").next().is_some_and(|t| t.replace("&amp;", "").is_empty()), "{out}");
        }
        assert_eq!(cut("short", 30), "short");
    }
}
