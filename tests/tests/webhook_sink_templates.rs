//! Templates beside those of a real Alertmanager: the same functions give the same text.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panic

use std::io::Write as _;
use std::process::{Command, Stdio};

use tests::{binary, peer};

const MESSAGE: &str = r#"{"receiver":"r","status":"firing","groupKey":"k","alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-22T21:58:39Z"}]}"#;

/// What our template makes of a message.
fn ours(template: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sink.yml");
    // JSON's strings are YAML's.
    std::fs::write(&file, format!("templates: {{t: {}}}\n", serde_json::to_string(template).unwrap())).unwrap();
    let mut child = Command::new(binary("webhook-sink"))
        .args(["render", "--template=t", "--for=http", &format!("--config.file={}", file.display())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MESSAGE.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{template}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn functions_give_what_alertmanagers_give() {
    let Some(amtool) = peer("amtool") else { return };
    // Its sample alert began five minutes ago, so times are made from `now` there, and compared to the hour.
    for (theirs, here) in [
        (
            r#"title "ab cD o'neil x-y_z 3d full/half foo.bar ÉCOLE""#,
            r#""ab cD o'neil x-y_z 3d full/half foo.bar ÉCOLE"|title"#,
        ),
        (r#"toUpper "aß디""#, r"'aß디'|toUpper"),
        (r#"toLower "AÉ""#, r"'AÉ'|toLower"),
        (r#"trimSpace " x ""#, r"' x '|trimSpace"),
        (r#"stringSlice "a" "b" | join "-""#, r"stringSlice('a', 'b')|join('-')"),
        (r#"match "^a.c$" "abc""#, r"'true' if 'abc'|match('^a.c$') else 'false'"),
        (r#"match "^b" "abc""#, r"'true' if 'abc'|match('^b') else 'false'"),
        (r#"reReplaceAll "(a)(b)" "$2$1 ${1}x" "abab""#, r"'abab'|reReplaceAll('(a)(b)', '$2$1 ${1}x')"),
        (r"humanizeDuration 3725.5", r"3725.5|humanizeDuration"),
        (r"humanizeDuration 0.0421", r"0.0421|humanizeDuration"),
        (r"humanizeDuration 12.345678", r"12.345678|humanizeDuration"),
        (r#"humanizeDuration "172805""#, r"'172805'|humanizeDuration"),
        (r"humanizeDuration -90", r"-90|humanizeDuration"),
        (r"humanizeDuration 0", r"0|humanizeDuration"),
        (r#"toJson "<a&b>""#, r"'<a&b>'|toJson"),
        (r#"toJson (dict "a" 1 "b" (list 1 "x"))"#, r"dict('a', 1, 'b', list(1, 'x'))|toJson"),
        (r"append (list 1 2) 3 | toJson", r"list(1, 2)|append(3)|toJson"),
        (r#"urlUnescape "a%20b+c%26""#, r"'a%20b+c%26'|urlUnescape"),
        (r#"safeUrl "http://x/?a=1""#, r"'http://x/?a=1'|safeUrl"),
        (r#"safeHtml "x""#, r"'x'|safeHtml"),
        (r#"now | date "2006-01-02 Mon Jan _2 15h MST Z07:00""#, r"now()|date('2006-01-02 Mon Jan _2 15h MST Z07:00')"),
        (
            r#"now | tz "Asia/Seoul" | date "02 03PM MST -0700 002""#,
            r"now()|tz('Asia/Seoul')|date('02 03PM MST -0700 002')",
        ),
        (
            r#"now | tz "America/New_York" | date "Monday January 2006 MST""#,
            r"now()|tz('America/New_York')|date('Monday January 2006 MST')",
        ),
    ] {
        let done = Command::new(&amtool)
            .args(["template", "render", "--template.glob=/nonexistent/*", "--template.text"])
            .arg(format!("{{{{ {theirs} }}}}"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{theirs}: {}", String::from_utf8_lossy(&done.stderr));
        let wanted = String::from_utf8(done.stdout).unwrap();
        assert_eq!(ours(&format!("{{{{ {here} }}}}")), wanted.trim_end(), "{here}");
    }
}

#[test]
fn a_time_of_the_message_is_written_in_a_zone() {
    assert_eq!(ours("{{ alerts[0].starts_at|tz('Asia/Seoul')|date('1월 2일 15:04 MST') }}"), "11월 23일 06:58 KST");
}
