//! A real headless Chromium, steered by chromedriver over WebDriver.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Service, free_port, program, skip, wait_until};

/// A browser window; its processes end with the value.
#[derive(Debug)]
pub struct Browser {
    driver: Service,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Opens one that speaks `language` first; `None`, and one line that says why, where there is no browser.
    pub fn open(language: &str) -> Option<Self> {
        let (Some(driver), Some(chromium)) = (program("chromedriver"), program("chromium")) else {
            skip("chromium or chromium-driver is not installed");
            return None;
        };
        let port = free_port();
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}"));
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver: Service::start(command, port), session: String::new(), profile };
        let args = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--lang={language}"),
            format!("--accept-lang={language}"),
            format!("--user-data-dir={}", browser.profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "goog:chromeOptions": {"binary": chromium, "args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.call("POST", "/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser.resize(1200, 900, false);
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = self.driver.url(path);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_mins(2)))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let answer = match method {
            "GET" => agent.get(&url).call(),
            _ => agent.post(&url).header("content-type", "application/json").send(body.to_string()),
        };
        let mut answer = answer.unwrap();
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(status.is_success(), "{method} {path}: {}", value["value"]["message"]);
        value["value"].clone()
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), body)
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.ask("/goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    /// Goes to an address and waits for its page.
    pub fn go(&self, url: &str) {
        self.ask("/url", &json!({ "url": url }));
    }

    /// The value of a script's `return`.
    pub fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until a script's expression is true.
    pub fn wait_for(&self, expression: &str) {
        wait_until(expression, Duration::from_secs(30), || self.run(&format!("return !!({expression})")) == true);
    }

    /// Presses keys one after the other.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|c| {
                // WebDriver's code points of keys without a character.
                let key = match c {
                    '\n' => "\u{e007}".to_owned(),
                    '\u{1b}' => "\u{e00c}".to_owned(),
                    '\t' => "\u{e004}".to_owned(),
                    c => c.to_string(),
                };
                [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
            })
            .collect();
        self.ask("/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]}));
    }

    /// Drags the mouse from one point of the window to another.
    pub fn drag(&self, from: (i64, i64), to: (i64, i64)) {
        let at = |(x, y): (i64, i64)| json!({"type": "pointerMove", "duration": 100, "x": x, "y": y});
        let actions =
            [at(from), json!({"type": "pointerDown", "button": 0}), at(to), json!({"type": "pointerUp", "button": 0})];
        let pointer =
            json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.ask("/actions", &json!({ "actions": [pointer] }));
    }

    /// Sets the size of the window's content, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32, phone: bool) {
        let scale = if phone { 2 } else { 1 };
        let size = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What `prefers-color-scheme` says from now on: `light` or `dark`.
    pub fn scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Whether pages may run scripts from now on.
    pub fn scripts(&self, allowed: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": !allowed }));
    }

    /// What the console got since it was asked last: errors, and violations of the Content-Security-Policy.
    pub fn console(&self) -> Vec<String> {
        let log = self.ask("/se/log", &json!({"type": "browser"}));
        log.as_array().unwrap().iter().map(|e| e["message"].to_string()).collect()
    }

    /// Whether a dialog of a script stands open.
    pub fn dialog(&self) -> bool {
        let url = self.driver.url(&format!("{}/alert/text", self.session));
        crate::get(&url).unwrap().status == 200
    }

    /// A picture of the window as PNG, in base64.
    pub fn picture(&self) -> String {
        let picture = self.call("GET", &format!("{}/screenshot", self.session), &Value::Null);
        picture.as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser's own processes, which the driver's end alone would leave behind.
        let url = self.driver.url(&self.session);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).proxy(None).build().into();
        let _ = agent.delete(&url).call();
    }
}
