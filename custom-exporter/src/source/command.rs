//! A program: started without a shell, ended with all that it has started.

use super::children::{Children, Running};
use crate::fault::Fault;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout_at};

/// `command: {run: [program, argument, …]}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    /// The program and its arguments, as they are: nothing in them is expanded.
    pub(crate) run: Vec<String>,
    /// Its environment, beside PATH: what this exporter's own holds may be secret.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

impl Command {
    /// What it writes to its standard output. The process is put into `left`, where it is still to be buried.
    pub(crate) async fn ask(
        &self,
        children: &Arc<Children>,
        deadline: Instant,
        max_bytes: usize,
        left: &mut Option<Running>,
    ) -> Result<Vec<u8>, Fault> {
        let (program, arguments) = self.run.split_first().ok_or_else(|| Fault::Connect("run: is empty".to_owned()))?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).envs(&self.env).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = children.start(&mut command).map_err(|e| Fault::Connect(format!("{program}: {e}")))?;
        let child = left.insert(child);
        let result = timeout_at(deadline, finish(child, children, max_bytes)).await;
        let (stdout, stderr, status) = result.map_err(|_| Fault::Timeout)??;
        if !status.success() {
            let stderr = String::from_utf8_lossy(&stderr);
            let said: String = stderr.trim().lines().next().unwrap_or_default().chars().take(200).collect();
            return Err(Fault::Answer(format!("{program}: {status}: {said}")));
        }
        Ok(stdout)
    }
}

/// Waits for its end, and reads meanwhile.
async fn finish(
    child: &mut Running,
    children: &Arc<Children>,
    max_bytes: usize,
) -> Result<(Vec<u8>, Vec<u8>, ExitStatus), Fault> {
    let (stdout, stderr) = (child.process.stdout.take(), child.process.stderr.take());
    let ended = async {
        let status = child.process.wait().await;
        // What it has left behind may hold the pipes open.
        children.end(child.group).await;
        status.map_err(|e| Fault::Connect(format!("waiting for it: {e}")))
    };
    tokio::try_join!(read(stdout, max_bytes), read(stderr, max_bytes), ended)
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, max_bytes: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe.take(max_bytes as u64 + 1).read_to_end(&mut bytes).await;
        read.map_err(|e| Fault::Connect(format!("reading what it writes: {e}")))?;
    }
    if bytes.len() > max_bytes {
        return Err(Fault::Limit(format!("wrote more than max_bytes={max_bytes}")));
    }
    Ok(bytes)
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
