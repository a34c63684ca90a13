//! The tutorial, step by step as its reader goes.

use std::process::{Command, Stdio};
use tests::{binary, free_port, program, repo, skip};

/// A fenced block: its language and its text.
type Block = (String, String);

fn blocks(page: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(repo().join("docs").join(page)).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                blocks.push((language.to_owned(), String::new()));
            }
            None if open => blocks.last_mut().unwrap().1.extend([line, "\n"]),
            None => {}
        }
    }
    assert!(!open, "{page}: a block without an end");
    blocks
}

#[test]
fn both_languages_show_the_same_steps() {
    assert_eq!(blocks("tutorial-custom.md"), blocks("tutorial-custom.ko.md"));
}

#[test]
fn its_steps_do_what_it_says() {
    for needed in ["bash", "curl", "python3"] {
        if program(needed).is_none() {
            skip(&format!("{needed} is not installed"));
            return;
        }
    }
    // One shell for all, as the reader has; each step begins with a line of its own.
    let blocks = blocks("tutorial-custom.md");
    let mut script = String::from("set -euo pipefail\n");
    let mut expected: Vec<String> = Vec::new();
    for (language, text) in &blocks {
        match language.as_str() {
            "sh" => {
                script.push_str("echo '@@@'\n");
                script.push_str(text);
                expected.push(String::new());
            }
            "text" => expected.last_mut().unwrap().push_str(text),
            _ => {}
        }
    }
    assert!(expected.len() > 6 && expected.iter().filter(|e| !e.is_empty()).count() > 4);
    // Only the ports are ours: others may run here.
    let script = script.replace("8000", &free_port().to_string()).replace("8008", &free_port().to_string());

    let dir = tempfile::tempdir().unwrap();
    let bin = binary("custom-exporter").parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap();
    let out = Command::new("timeout")
        .args(["60", "bash", "-c", &script])
        .current_dir(dir.path())
        .env("PATH", format!("{bin}:{path}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{}\n{stdout}\n{stderr}", out.status);
    let steps: Vec<&str> = stdout.split("@@@\n").skip(1).collect();
    assert_eq!(steps.len(), expected.len());
    for (at, (printed, expected)) in steps.iter().zip(&expected).enumerate() {
        if !expected.is_empty() {
            assert_eq!(printed, expected, "step {}\n{stderr}", at + 1);
        }
    }
}
