//! User text made harmless for each provider: it may mention nobody and mark nothing up.

use std::fmt::Write as _;

use super::config::Kind;

/// Escapes a value as it goes into a template's output.
pub(super) fn value(kind: Kind, text: &str, out: &mut String) {
    let address = is_address(text);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match kind {
            // In an address an escape of the provider's would be part of it; the escape of addresses means the same.
            Kind::Slack | Kind::SlackBot | Kind::GoogleChat | Kind::Discord | Kind::Mattermost | Kind::Teams
                if address && "*_~`|[]()\\@!<>".contains(c) =>
            {
                let _ = write!(out, "%{:02X}", c as u32);
            }
            // "Escaping text" of Slack's and Google Chat's formatting pages; `<!channel>` cannot form without `<`.
            Kind::Slack | Kind::SlackBot | Kind::GoogleChat => match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                // Within a word it marks nothing up, and names of labels and hosts are full of it.
                '_' if before.is_alphanumeric() && chars.peek().is_some_and(|n| n.is_alphanumeric()) => out.push('_'),
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
            // Markdown with mentions; a link is one by itself.
            Kind::Discord | Kind::Mattermost | Kind::Teams if address => out.push(c),
            Kind::Discord | Kind::Mattermost | Kind::Teams => match c {
                '@' | '#' => out.extend([c, '\u{200b}']),
                '<' => out.push_str(if kind == Kind::Discord { "\\<" } else { "&lt;" }),
                '*' | '_' | '~' | '`' | '|' | '[' | ']' | '(' | ')' | '\\' | '>' | '!' => out.extend(['\\', c]),
                c => out.push(c),
            },
            Kind::Email | Kind::Command | Kind::Http => out.push(c),
        }
        before = c;
    }
}

/// Whether a value is one address of the web and nothing else.
fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|r| !r.is_empty()) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// The size of a text as the provider counts it against its limit.
pub(super) fn size(kind: Kind, text: &str) -> usize {
    text.chars().map(|c| width(kind, c)).sum()
}

fn width(kind: Kind, c: char) -> usize {
    match kind {
        // UTF-16 code units.
        Kind::Telegram | Kind::Discord => c.len_utf16(),
        // Bytes of the JSON; a line end becomes two there.
        Kind::Teams => match c {
            '\n' => 4,
            '"' | '\\' => 2,
            c if c.is_control() => 6,
            c => c.len_utf8(),
        },
        _ => 1,
    }
}

/// Cuts at `limit` as the provider counts it, at a character, saying how many are missing.
pub(super) fn cut(kind: Kind, text: &str, limit: usize) -> String {
    if size(kind, text) <= limit {
        return text.to_owned();
    }
    let total = text.chars().count();
    // Room for the number, which is known only after the cut, and for tags that have to be closed.
    let room = size(kind, "\n… (+)") + total.to_string().len() + if kind == Kind::Telegram { 40 } else { 0 };
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        used += width(kind, c);
        if used > limit.saturating_sub(room) {
            break;
        }
        out.push(c);
    }
    // An escape or tag that was cut in two would show as its beginning.
    if let Some(at) = out.rfind('&').filter(|at| out.len() - at < 7 && !out[*at..].contains(';')) {
        out.truncate(at);
    }
    let missing = total - out.chars().count();
    if kind == Kind::Telegram {
        close_tags(&mut out);
    }
    let _ = write!(out, "\n… (+{missing})");
    out
}

/// Telegram refuses a whole message for one tag that is not closed.
fn close_tags(text: &mut String) {
    if let Some(at) = text.rfind('<').filter(|at| !text[*at..].contains('>')) {
        text.truncate(at);
    }
    let mut open: Vec<String> = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, tag)) = rest.split_once('<') {
        let Some((tag, after)) = tag.split_once('>') else { break };
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if !tag.starts_with('/') {
            open.push(name);
        } else if open.last() == Some(&name) {
            open.pop();
        }
        rest = after;
    }
    for name in open.into_iter().rev() {
        let _ = write!(text, "</{name}>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let out = cut(Kind::Slack, &text, limit);
            assert!(out.chars().count() <= limit, "{limit}: {out}");
            assert!(out.contains("… (+"), "{out}");
            assert!(out.split("\n…").next().is_some_and(|t| t.replace("&amp;", "").is_empty()), "{out}");
        }
        assert_eq!(cut(Kind::Slack, "short", 30), "short");
    }

    #[test]
    fn the_number_of_missing_characters_is_right() {
        let out = cut(Kind::Http, &"x".repeat(1000), 100);
        let (shown, note) = out.split_once('\n').expect("a note");
        assert_eq!(note, format!("… (+{})", 1000 - shown.len()));
    }

    #[test]
    fn addresses_stay_addresses() {
        let address = "https://x.example/High_CPU_(web)?a=1&b=@everyone*#part";
        for kind in [Kind::Discord, Kind::Mattermost, Kind::Teams] {
            assert_eq!(escaped(kind, address), "https://x.example/High%5FCPU%5F%28web%29?a=1&b=%40everyone%2A#part");
        }
        assert_eq!(
            escaped(Kind::Slack, address),
            "https://x.example/High%5FCPU%5F%28web%29?a=1&amp;b=%40everyone%2A#part"
        );
        assert_eq!(escaped(Kind::Slack, "node_exporter _x_"), "node_exporter \u{200b}_\u{200b}x\u{200b}_\u{200b}");
        assert!(!escaped(Kind::Discord, "https://x @everyone").contains("@everyone"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn a_cut_keeps_within_each_limit_and_closes_what_it_opened(
            text in "(<b>|</b>|<i>|x|&lt;|🔴|디|\n| ){0,200}", limit in 80_usize..200
        ) {
            for kind in [Kind::Slack, Kind::Telegram, Kind::Discord, Kind::Teams, Kind::Mattermost] {
                let out = cut(kind, &text, limit);
                prop_assert!(size(kind, &out) <= limit || kind == Kind::Telegram, "{:?} {}", kind, out);
                if kind == Kind::Telegram && out != text {
                    let tags = out.matches("</b>").count() + out.matches("</i>").count();
                    prop_assert!(out.matches("<b>").count() + out.matches("<i>").count() <= tags, "{}", out);
                    // Tags do not count for Telegram.
                    let plain = out.replace("<b>", "").replace("</b>", "").replace("<i>", "").replace("</i>", "");
                    prop_assert!(size(kind, &plain) <= limit, "{}", out);
                }
            }
        }
        #[test]
        fn any_text_is_survived(text in any::<String>(), limit in 0_usize..300) {
            for kind in [Kind::Slack, Kind::Telegram, Kind::Discord, Kind::Teams] {
                let _ = cut(kind, &escaped(kind, &text), limit);
            }
        }
    }
}
