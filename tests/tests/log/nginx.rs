//! A real nginx whose logs are rotated as logrotate does it.

use crate::exporter::{Place, settles};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;
use tests::{Service, free_port, get, program, skip};

#[test]
fn access_and_error_log_through_a_rotation() {
    let Some(nginx) = program("nginx") else {
        skip("nginx is not installed");
        return;
    };
    let place = Place::new(
        "inputs:
  - {type: file, name: access, paths: ['DIR/logs/access.log'], read_from_start: true}
use:
  - {rules: nginx_combined, inputs: [access]}
",
    );
    let port = free_port();
    let path = place.dir.path().display();
    let config = format!(
        "daemon off; master_process on; user root; pid {path}/pid; error_log {path}/logs/error.log; events {{}}
         http {{ access_log {path}/logs/access.log combined; client_body_temp_path {path}/a; proxy_temp_path {path}/b;
           fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
           server {{ listen 127.0.0.1:{port}; location /good {{ return 200 'x'; }} location / {{ return 404; }} }} }}"
    );
    std::fs::write(place.path("nginx.conf"), config).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-c").arg(place.path("nginx.conf"));
    let mut server = Service::start(command, port);
    let exporter = place.start();
    let good = "nginx_http_response_count_total{method=\"GET\",status=\"200\"}";
    let bad = "nginx_http_response_count_total{method=\"GET\",status=\"404\"}";
    for round in 1..=3_u32 {
        for _ in 0..20 {
            get(&server.url("/good")).unwrap();
            get(&server.url("/bad")).unwrap();
        }
        std::fs::rename(place.log("access.log"), place.log(&format!("access.log.{round}"))).unwrap();
        // Until it is told nginx goes on in the renamed file.
        get(&server.url("/good")).unwrap();
        let pid = std::fs::read_to_string(place.path("pid")).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::USR1).unwrap();
        tests::wait_until("a new log", std::time::Duration::from_secs(10), || place.log("access.log").exists());
        get(&server.url("/good")).unwrap();
        settles(&exporter, good, f64::from(round * 22));
        settles(&exporter, bad, f64::from(round * 20));
    }
    server.signal(Signal::TERM);
    server.wait();
}
