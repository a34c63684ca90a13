//! Processes that supervisord runs, from its XML-RPC interface (`supervisor.getAllProcessInfo`).

mod endpoint;
mod response;

use endpoint::Endpoint;
use exporter::{BuildError, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use response::Process;

const URL: Flag =
    Flag::text("collector.supervisord.url", "http://localhost:9001/RPC2", "XML RPC endpoint.").env("SUPERVISORD_URL");

/// Registers the collector.
pub(crate) const SUPERVISORD: Entry = Entry {
    name: "supervisord",
    default: Default::Off,
    about: "states of processes that supervisord runs, from its XML-RPC interface over TCP or a Unix socket",
    flags: &[URL],
    build: |flags, _| {
        let endpoint =
            Endpoint::parse(flags.text(URL.name)).map_err(|why| BuildError(format!("--{}: {why}", URL.name)))?;
        Ok(Box::new(Supervisord { endpoint }))
    },
};

const UP: Desc = Desc::gauge("node_supervisord_up", "Process Up");
const STATE: Desc = Desc::gauge("node_supervisord_state", "Process State");
const EXIT_STATUS: Desc = Desc::gauge("node_supervisord_exit_status", "Process Exit Status");
const START_TIME: Desc = Desc::counter("node_supervisord_start_time_seconds", "Process start time");

struct Supervisord {
    endpoint: Endpoint,
}

impl Collector for Supervisord {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        const CALL: &str = "<?xml version=\"1.0\"?><methodCall>\
            <methodName>supervisor.getAllProcessInfo</methodName><params></params></methodCall>";
        let failed = |why: String| CollectError::failed(format!("unable to call supervisord: {why}"));
        let body = self.endpoint.post(CALL, cx.wait_until()).map_err(|e| failed(e.to_string()))?;
        for process in response::parse(&body).map_err(failed)? {
            emit(&process, out);
        }
        Ok(())
    }
}

fn emit(process: &Process, out: &mut Part) {
    let labels: [(&str, &[u8]); 2] = [("group", process.group.as_bytes()), ("name", process.name.as_bytes())];
    // Starting, running and stopping; see http://supervisord.org/subprocess.html#process-states.
    let up = matches!(process.state, 10 | 20 | 40);
    out.family(&STATE).sample(&labels, process.state);
    out.family(&EXIT_STATUS).sample(&labels, process.exit_status);
    out.family(&UP).sample(&labels, up);
    if up {
        out.family(&START_TIME).sample(&labels, process.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let mut out = Part::new();
        let running =
            Process { name: "web".into(), group: "all".into(), start: 1_700_000_000, state: 20, exit_status: 0 };
        let exited = Process { name: "job".into(), group: "job".into(), start: 5, state: 100, exit_status: 7 };
        emit(&running, &mut out);
        emit(&exited, &mut out);
        let mut text = Vec::new();
        exposition::Page::merge(vec![out]).0.write_text(&mut text);
        let text = String::from_utf8(text).unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_supervisord_exit_status{group=\"all\",name=\"web\"} 0",
                "node_supervisord_exit_status{group=\"job\",name=\"job\"} 7",
                "node_supervisord_start_time_seconds{group=\"all\",name=\"web\"} 1.7e+09",
                "node_supervisord_state{group=\"all\",name=\"web\"} 20",
                "node_supervisord_state{group=\"job\",name=\"job\"} 100",
                "node_supervisord_up{group=\"all\",name=\"web\"} 1",
                "node_supervisord_up{group=\"job\",name=\"job\"} 0",
            ]
        );
    }

    #[test]
    fn a_bad_url_is_refused_and_not_repeated() {
        let flags = exporter::Flags::from_args(SUPERVISORD.flags, &["--collector.supervisord.url=https://u:secret@h/"]);
        let error = (SUPERVISORD.build)(&flags.unwrap(), &hostfs::Sources::live()).err().unwrap().to_string();
        assert!(error.contains("--collector.supervisord.url") && !error.contains("secret"), "{error}");
    }
}
