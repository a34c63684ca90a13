//! The page in a real headless Chromium. `BONGSU_SHOTS=DIR` keeps pictures of what was seen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // tests fail by panic

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Browser, Service, get, post, wait_until};

fn sink(dir: &Path, more: &[&str]) -> Service {
    let storage = format!("--storage.path={}", dir.display());
    let mut args = vec![storage.as_str(), "--print=off"];
    args.extend(more);
    Service::ours("webhook-sink", &args)
}

/// A time that long ago, as Alertmanager writes it.
fn ago(minutes: i64) -> String {
    let date = Command::new("date").args(["-u", "-d", &format!("-{minutes} min"), "+%Y-%m-%dT%H:%M:%SZ"]).output();
    String::from_utf8(date.unwrap().stdout).unwrap().trim().to_owned()
}

fn alert(name: &str, severity: &str, instance: &str, summary: &str, minutes: i64) -> Value {
    json!({
        "status": "firing", "startsAt": ago(minutes), "endsAt": "0001-01-01T00:00:00Z",
        "labels": {"alertname": name, "severity": severity, "instance": instance, "cluster": "seoul-1"},
        "annotations": {
            "summary": summary, "runbook_url": format!("https://runbooks.example/{name}"),
            "dashboard_url": "https://grafana.example/d/x", "description": format!("설명: {summary}"),
        },
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up",
    })
}

fn send(sink: &Service, receiver: &str, name: &str, alerts: &[Value], more: &Value) {
    let firing = alerts.iter().any(|a| a["status"] == "firing");
    let severity = alerts[0]["labels"]["severity"].clone();
    let mut message = json!({
        "version": "4", "receiver": receiver, "status": if firing { "firing" } else { "resolved" }, "alerts": alerts,
        "groupKey": format!("{{}}:{{alertname={name:?}}}"), "groupLabels": {"alertname": name},
        "commonLabels": {"alertname": name, "severity": severity, "cluster": "seoul-1"},
        "commonAnnotations": {"runbook_url": format!("https://runbooks.example/{name}")},
        "externalURL": "http://alertmanager.example:9093", "truncatedAlerts": 0,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    let answer = post(&sink.url("/alerts"), message.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// A morning's alerts, one of them hostile in every field.
fn morning(sink: &Service) {
    let db = |n: u32| {
        alert("MysqlDown", "critical", &format!("db{n}:9104"), &format!("MySQL이 응답하지 않습니다 (db{n})"), 12)
    };
    send(sink, "on-call", "MysqlDown", &[db(1), db(2)], &json!({}));
    let disk = |n: i64| {
        alert("DiskFull", "warning", &format!("web{n}:9100"), &format!("디스크가 곧 가득 찹니다 (web{n})"), 60 + n)
    };
    send(sink, "on-call", "DiskFull", &(1..=14).map(disk).collect::<Vec<_>>(), &json!({"truncatedAlerts": 3}));
    let mut web = alert("NginxDown", "critical", "web1:9113", "nginx is down", 40);
    send(sink, "on-call", "NginxDown", &[web.clone()], &json!({}));
    web["status"] = "resolved".into();
    web["endsAt"] = ago(5).into();
    send(sink, "on-call", "NginxDown", &[web], &json!({}));
    let load = |n: u32| alert("HighLoad", "warning", &format!("n{n}:9100"), &format!("load is high on n{n}"), 30);
    send(sink, "team", "HighLoad", &[load(1), load(2)], &json!({}));
    send(sink, "team", "HighLoad", &[load(1)], &json!({}));
    let mut hostile = alert(HOSTILE, "error", "\"><img src=x onerror=alert(document.domain)>", HOSTILE, 3);
    for (name, value) in [("with space", "a\"b\\c"), ("日本", "語"), ("rtl", "\u{202e}evil\u{202c}"), ("<i>", "</a>")]
    {
        hostile["labels"][name] = value.into();
    }
    hostile["labels"]["long"] = "x".repeat(300).into();
    hostile["annotations"]["runbook_url"] = "javascript:alert(1)".into();
    hostile["annotations"]["dashboard_url"] = "\"onmouseover=\"alert(1)".into();
    hostile["generatorURL"] = "data:text/html,<script>alert(1)</script>".into();
    send(
        sink,
        "<img src=x onerror=alert(2)>",
        HOSTILE,
        &[hostile],
        &json!({"commonAnnotations": {"summary": HOSTILE}, "externalURL": "javascript:alert(3)//"}),
    );
    post(&sink.url("/alerts/%3Cscript%3Ealert(4)%3C%2Fscript%3E"), b"<script>alert(5)</script>").unwrap();
    indexed(sink);
}

fn indexed(sink: &Service) {
    wait_until("the index", Duration::from_mins(2), || {
        let stats = get(&sink.url("/api/v1/stats")).unwrap().json();
        stats["stored"] == stats["indexed"]
    });
}

const HOSTILE: &str = "</script><script>window.owned=1;alert(1)</script><b class=x>bold</b> <!channel> {{7*7}} ${7*7}";

/// Every page of a sink after [`morning`].
fn pages(sink: &Service) -> Vec<String> {
    let alerts = get(&sink.url("/api/v1/alerts?limit=1")).unwrap().json();
    let fingerprint = alerts["alerts"][0]["fingerprint"].as_str().unwrap().to_owned();
    let mut pages: Vec<String> =
        ["/", "/?state=firing", "/?q=cluster%3D%22seoul-1%22", "/?q=%3D%3D", "/deliveries", "/outbox", "/health"]
            .map(str::to_owned)
            .into();
    pages.push(format!("/alert/{fingerprint}"));
    let newest = get(&sink.url("/api/v1/deliveries?limit=1")).unwrap().json()["deliveries"][0]["id"].clone();
    pages.push(format!("/delivery/{newest}"));
    pages
}

fn keep_picture(browser: &Browser, name: &str) {
    let Some(dir) = std::env::var_os("BONGSU_SHOTS") else { return };
    let file = Path::new(&dir).join(format!("{name}.png"));
    let mut decode = Command::new("base64")
        .arg("-d")
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(file).unwrap())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut decode.stdin.take().unwrap(), browser.picture().as_bytes()).unwrap();
    assert!(decode.wait().unwrap().success());
}

/// Nothing of an alert became part of the page, nothing was complained about, nothing is wider than the window.
fn is_harmless(browser: &Browser, page: &str) {
    assert!(!browser.dialog(), "{page}: a script of an alert ran");
    let found = browser.run(
        "return {owned: window.owned, foreign: document.querySelectorAll('main script, main img, main b.x, main iframe, header script').length, \
         handlers: [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length, \
         links: [...document.querySelectorAll('a')].filter(a => !/^https?:$/.test(a.protocol)).map(a => a.href), \
         wide: document.documentElement.scrollWidth - innerWidth}",
    );
    assert_eq!(found["owned"], Value::Null, "{page}");
    assert_eq!((&found["foreign"], &found["handlers"]), (&json!(0), &json!(0)), "{page}: {found}");
    assert_eq!(found["links"], json!([]), "{page}");
    assert!(found["wide"].as_i64().unwrap() <= 0, "{page}: {} pixels wider than the window", found["wide"]);
    let console = browser.console();
    assert!(console.is_empty(), "{page}: {console:?}");
}

/// Texts whose contrast with what is behind them is below AA's 4.5 (3 for large ones).
const PALE: &str = r"
const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const parts = (c) => c.match(/[\d.]+/g).map(Number);
const light = (c) => { const [r, g, b] = parts(c).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; const p = parts(c); if (p.length < 4 || p[3] > 0.99) return c; } return 'rgb(255,255,255)'; };
const pale = [];
for (const e of document.querySelectorAll('body *')) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
  const style = getComputedStyle(e);
  const [a, b] = [light(style.color), light(behind(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio < (large ? 3 : 4.5)) pale.push([e.tagName, e.className, e.textContent.slice(0, 40), ratio.toFixed(2)]);
}
return pale;";

#[test]
fn every_page_is_harmless_readable_and_fits_in_both_languages_and_themes() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("sink.yml");
    let text = format!(
        "targets: [{{name: ops-chat, type: slack, url: 'http://127.0.0.1:{}/'}}, {{name: audit, type: command, command: ['true']}}]\n\
         routes: [{{targets: [ops-chat, audit]}}]\n\
         watchdogs: [{{name: prometheus, matchers: ['alertname=\"Watchdog\"'], after: 10m, targets: [audit]}}]\n",
        tests::free_port()
    );
    std::fs::write(&config, text).unwrap();
    let sink = sink(dir.path(), &[&format!("--config.file={}", config.display())]);
    morning(&sink);
    wait_until("a failed attempt", Duration::from_secs(30), || {
        get(&sink.url("/api/v1/outbox")).unwrap().text().contains("cannot be reached")
    });
    let pages = pages(&sink);
    for (language, scheme) in [("en", "light"), ("ko", "dark")] {
        let Some(browser) = Browser::open(language) else { return };
        browser.scheme(scheme);
        for (width, height, phone) in [(1200, 900, false), (360, 740, true)] {
            browser.resize(width, height, phone);
            for (n, page) in pages.iter().enumerate() {
                browser.go(&sink.url(page));
                is_harmless(&browser, &format!("{page} ({language}, {scheme}, {width})"));
                let pale = browser.run(PALE);
                assert_eq!(pale, json!([]), "{page} ({scheme}): too pale");
                assert_eq!(browser.run("return document.documentElement.lang"), language, "{page}");
                keep_picture(&browser, &format!("{language}-{scheme}-{width}-{n}"));
            }
        }
        browser.go(&sink.url("/"));
        let background = browser.run("return getComputedStyle(document.body).backgroundColor");
        assert_eq!(background, if scheme == "dark" { "rgb(18, 22, 27)" } else { "rgb(251, 251, 252)" });
        let word = if language == "ko" { "발생 중" } else { "firing" };
        assert!(browser.run("return document.body.innerText").as_str().unwrap().contains(word));
        // Buttons, links and fields all have a name that is read out.
        let nameless = browser.run(
            "return [...document.querySelectorAll('a, button, input:not([type=hidden]), select')].filter(e => !(e.innerText || '').trim() && !e.labels?.length && !e.getAttribute('aria-label') && !e.title && e.offsetParent).map(e => e.outerHTML)",
        );
        assert_eq!(nameless, json!([]));
        // The reader's own choice beats the system's.
        browser.go(&sink.url(&format!("/prefs?theme={}&back=%2F", if scheme == "dark" { "light" } else { "dark" })));
        assert_ne!(browser.run("return getComputedStyle(document.body).backgroundColor"), background);
    }
}

#[test]
fn the_policy_forbids_what_the_page_does_not_bring() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    let Some(browser) = Browser::open("en") else { return };
    browser.go(&sink.url("/"));
    for (what, script) in [
        (
            "an inline script",
            "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s)",
        ),
        (
            "somebody else's picture",
            "const i = new Image(); i.src = 'http://127.0.0.2:9/x.png'; document.body.append(i)",
        ),
        (
            "an inline style",
            "const d = document.createElement('div'); d.setAttribute('style', 'color: red'); document.body.append(d)",
        ),
        ("a call elsewhere", "fetch('http://127.0.0.2:9/').catch(() => 0)"),
    ] {
        browser.run(script);
        wait_until(what, Duration::from_secs(10), || {
            browser.console().iter().any(|line| line.contains("Content Security Policy"))
        });
    }
    assert_eq!(browser.run("return window.owned"), Value::Null);
    let policy = get(&sink.url("/")).unwrap().header("content-security-policy").unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
}

#[test]
fn the_list_is_live_and_comes_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let port = tests::free_port();
    let start = || {
        let mut command = Command::new(tests::binary("webhook-sink"));
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--storage.path={}", dir.path().display()))
            .arg("--print=off");
        Service::start(command, port)
    };
    let sink = start();
    let Some(browser) = Browser::open("en") else { return };
    browser.go(&sink.url("/"));
    browser.wait_for("document.getElementById('live').dataset.state === 'live'");
    // A first visitor is told how to send a first alert.
    let text = browser.run("return document.body.innerText");
    assert!(text.as_str().unwrap().contains(&format!("http://127.0.0.1:{port}/alerts")), "{text}");
    keep_picture(&browser, "empty");
    let began = Instant::now();
    send(&sink, "r", "First", &[alert("First", "critical", "a", "the first", 1)], &json!({}));
    browser.wait_for("document.querySelector('main').innerText.includes('First: the first')");
    println!("shown {:?} after it was sent", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10));
    // The chart shows it too, though its slot has only just begun.
    browser.wait_for(
        "(() => { const c = document.querySelector('#strip canvas'); \
         const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; \
         for (let i = 0; i < p.length; i += 4) if (p[i] === 0xb4 && p[i + 1] === 0x16 && p[i + 2] === 0x1b) n++; \
         return n > 100; })()",
    );
    keep_picture(&browser, "first");
    let mut sink = sink;
    sink.signal(rustix::process::Signal::KILL);
    sink.wait();
    browser.wait_for("document.getElementById('live').dataset.state === 'lost'");
    let sink = start();
    send(&sink, "r", "Second", &[alert("Second", "warning", "a", "the second", 1)], &json!({}));
    browser.wait_for("document.getElementById('live').dataset.state === 'live'");
    browser.wait_for("document.querySelector('main').innerText.includes('Second: the second')");
    assert_eq!(browser.run("return document.querySelectorAll('article').length"), 2);
}

#[test]
fn the_keyboard_does_all_that_the_mouse_does() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    morning(&sink);
    let Some(browser) = Browser::open("en") else { return };
    browser.go(&sink.url("/"));
    browser.press("jj");
    assert_eq!(
        browser.run("return [...document.querySelectorAll('article')].findIndex(a => a.classList.contains('at'))"),
        1
    );
    browser.press("k");
    assert_eq!(
        browser.run("return [...document.querySelectorAll('article')].findIndex(a => a.classList.contains('at'))"),
        0
    );
    let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "what has the focus shows it");
    browser.press("?");
    assert_eq!(browser.run("return document.getElementById('help').open"), true);
    browser.press("\u{1b}");
    assert_eq!(browser.run("return document.getElementById('help').open"), false);
    browser.press("/sever");
    browser.wait_for("[...document.querySelectorAll('#known option')].some(o => o.value === 'severity=')");
    browser.press("ity=\"crit");
    browser.wait_for("[...document.querySelectorAll('#known option')].some(o => o.value === 'severity=\"critical\"')");
    browser.press("ical\"\n");
    browser.wait_for("location.search.includes('critical')");
    let titles = browser.run("return [...document.querySelectorAll('article h2')].map(e => e.innerText)");
    assert_eq!(titles.as_array().unwrap().len(), 3, "{titles}");
    // A card's first link opens with Enter.
    browser.press("j\n");
    browser.wait_for("location.pathname.startsWith('/alert/')");
    // The whole page can be walked with Tab, the link to the list first.
    browser.go(&sink.url("/"));
    browser.press("\t");
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    // A drag over the chart narrows the time.
    let strip = browser.run("const r = document.getElementById('strip').getBoundingClientRect(); return [r.x, r.y, r.width, r.height].map(Math.round)");
    let at = |n: usize| strip[n].as_i64().unwrap();
    browser.wait_for("document.querySelector('#strip canvas')");
    browser.drag((at(0) + at(2) / 2, at(1) + at(3) / 2), (at(0) + at(2) - 30, at(1) + at(3) / 2));
    browser.wait_for("location.search.includes('from=') && location.search.includes('to=')");
}

#[test]
fn a_range_is_counted_and_sent_again_from_the_page_after_the_token_was_typed() {
    let dir = tempfile::tempdir().unwrap();
    let provider = tests::Provider::start(|_, _| (200, "", "ok".into()));
    let (config, token) = (dir.path().join("sink.yml"), dir.path().join("token"));
    let text = format!("targets: [{{name: chat, type: http, url: '{}', rate: 100}}]\nroutes: []\n", provider.url("/"));
    std::fs::write(&config, text).unwrap();
    std::fs::write(&token, "open sesame").unwrap();
    let args = [format!("--config.file={}", config.display()), format!("--web.admin-token-file={}", token.display())];
    let sink = sink(&dir.path().join("data"), &[&args[0], &args[1]]);
    morning(&sink);
    let Some(browser) = Browser::open("en") else { return };
    browser.go(&sink.url("/outbox"));
    assert_eq!(browser.run("return document.querySelectorAll('form[action=\"/replay\"]').length"), 0);
    browser.run("document.querySelector('input[name=token]').focus()");
    browser.press("open sesame\n");
    browser.wait_for("document.querySelector('form[action=\"/replay\"]')");
    browser.run("document.querySelector('button[value=count]').click()");
    browser.wait_for(
        "document.querySelector('[role=status]:not(#live)')?.innerText.includes('7 messages would go to chat')",
    );
    assert!(provider.seen().is_empty(), "counting sends nothing");
    keep_picture(&browser, "replay");
    browser.run("document.querySelector('button[value=send]').click()");
    browser.wait_for(
        "document.querySelector('[role=status]:not(#live)')?.innerText.includes('7 messages are owed to chat')",
    );
    // Each group's newest state: five groups.
    provider.wait_for(5);
    is_harmless(&browser, "/outbox");
    // One of them by its own page's button.
    browser.go(&sink.url("/delivery/1"));
    browser.run("document.querySelector('form[action=\"/delivery/1/replay\"] button').click()");
    provider.wait_for(6);
    let audit = tests::get_with(&sink.url("/api/v1/audit"), &[("x-admin-token", "open sesame")]).unwrap();
    assert!(audit.text().contains("to chat"), "{}", audit.text());
}

#[test]
fn it_works_without_script() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    morning(&sink);
    let Some(browser) = Browser::open("en") else { return };
    browser.scripts(false);
    browser.go(&sink.url("/"));
    keep_picture(&browser, "no-script");
    browser.scripts(true);
    // The page as it came: no script of its own has run, the one asked here only looks.
    let found = browser.run("return [document.querySelectorAll('article').length, document.querySelectorAll('#strip rect').length, document.querySelectorAll('#strip canvas').length, document.querySelector('.chip').href]");
    assert!(found[0].as_i64().unwrap() >= 4 && found[1].as_i64().unwrap() > 0, "{found}");
    assert_eq!(found[2], 0);
    assert!(found[3].as_str().unwrap().contains("/?q="), "{found}");
}

#[test]
fn ten_thousand_firing_alerts_stay_usable() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    let start = ago(30);
    for group in 0..101 {
        // One group of five thousand, a hundred of fifty.
        let n = if group == 100 { 5000 } else { 50 };
        let alerts: Vec<Value> = (0..n)
            .map(|i| {
                json!({
                    "status": "firing", "startsAt": start, "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p.example/",
                    "labels": {"alertname": format!("Load{group}"), "severity": "warning", "instance": format!("node{i}:9100")},
                    "annotations": {"summary": format!("load is high on node{i}")},
                })
            })
            .collect();
        send(&sink, "r", &format!("Load{group}"), &alerts, &json!({}));
    }
    indexed(&sink);
    assert_eq!(get(&sink.url("/api/v1/stats")).unwrap().json()["firing"], 10_000);
    let Some(browser) = Browser::open("en") else { return };
    for (page, cards) in [("/", 50), ("/?state=firing", 100), ("/?q=alertname%3D%22Load100%22", 100)] {
        browser.go(&sink.url(page));
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]";
        browser.wait_for(paint);
        let found = browser.run(&format!(
            "return {{paint: {paint}.startTime, answer: performance.timing.responseEnd - performance.timing.requestStart, \
             bytes: performance.getEntriesByType('navigation')[0].transferSize, nodes: document.querySelectorAll('*').length, \
             cards: document.querySelectorAll('article').length}}"
        ));
        println!("{page}: {found}");
        assert_eq!(found["cards"], cards, "{page}");
        assert!(found["paint"].as_f64().unwrap() < 3000.0, "{page}: first content after {}", found["paint"]);
        assert!(found["nodes"].as_i64().unwrap() < 12_000, "{page}: {found}");
        let began = Instant::now();
        browser.press("jjjjjjjjjj");
        assert_eq!(
            browser.run("return [...document.querySelectorAll('article')].findIndex(a => a.classList.contains('at'))"),
            9
        );
        println!("{page}: ten keys in {:?}", began.elapsed());
        assert!(browser.console().is_empty());
    }
    // On to the next page, and a new alert among all the others.
    browser.go(&sink.url("/"));
    browser.wait_for("document.getElementById('live').dataset.state === 'live'");
    let began = Instant::now();
    send(&sink, "r", "New", &[alert("New", "critical", "a", "brand new", 0)], &json!({}));
    browser.wait_for("document.querySelector('article').innerText.includes('brand new')");
    println!("a new alert among ten thousand was shown after {:?}", began.elapsed());
    browser.run("document.querySelector('.pager a[rel=next]').click()");
    browser.wait_for("location.search.includes('before=50') && document.querySelectorAll('article').length === 50");
}
