//! Upstream's own end-to-end test, as the contract keeps it: every series, value, TYPE and HELP, and nothing more.

use std::process::Command;
use tests::{binary, free_port, parity, program, skip};

/// Copies the contract, which nobody may change, and runs it: it unpacks its /sys beside itself.
const SCRIPT: &str = r#"
cp -r "$1/node" "$1/expodiff" "$2"
chmod -R u+w "$2"
cd "$2/node"
exec timeout 120 ./run.sh "$3" --strict --details 40
"#;

#[test]
fn the_whole_page_of_upstream_s_test() {
    let Some(run) = parity("node/run.sh") else { return };
    if program("python3").is_none() {
        skip("python3 is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let contract = run.ancestors().nth(2).unwrap();
    let mut command = Command::new("sh");
    command.args(["-ec", SCRIPT, "sh"]).arg(contract).arg(dir.path()).arg(binary("node-exporter"));
    let out = command.env("PORT", free_port().to_string()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let whole = said.lines().any(|l| l.starts_with("parity ") && l.ends_with(" 100.00 %"));
    assert!(out.status.success() && whole, "{}\n{said}", out.status);
}
