//! cAdvisor's flags that steer its housekeeping, storage and logs: taken, so that command lines go on to work.

use exporter::{Flag, FlagKind};

/// All of them.
pub(crate) const UNNEEDED: &[&Flag] = &[
    &switch("add_dir_header"),
    &switch("allow_dynamic_housekeeping"),
    &switch("alsologtostderr"),
    &text("application_metrics_count_limit"),
    &text("bq_account"),
    &text("bq_credentials_file"),
    &text("bq_dataset"),
    &text("bq_id"),
    &text("bq_project_id"),
    &text("bq_secret"),
    &text("bq_table"),
    &text("collector_cert"),
    &text("collector_key"),
    &text("container_hints"),
    &text("crio_client_timeout"),
    &switch("disable_memory_numa"),
    &text("docker_root"),
    &text("event_storage_age_limit"),
    &text("event_storage_event_limit"),
    &text("global_housekeeping_interval"),
    &text("healthz_url"),
    &text("housekeeping_interval"),
    &text("http_auth_realm"),
    &text("http_digest_realm"),
    &text("log_backtrace_at"),
    &switch("log_cadvisor_usage"),
    &text("log_dir"),
    &text("log_file"),
    &text("log_file_max_size"),
    &switch("logtostderr"),
    &text("max_housekeeping_interval"),
    &text("max_procs"),
    &switch("one_output"),
    &text("perf_events_config"),
    &switch("profiling"),
    &text("resctrl_interval"),
    &text("resctrl_vendor_id"),
    &switch("skip_headers"),
    &switch("skip_log_headers"),
    &text("stderrthreshold"),
    &text("storage_driver"),
    &text("storage_driver_buffer_duration"),
    &text("storage_driver_db"),
    &switch("storage_driver_es_enable_sniffer"),
    &text("storage_driver_es_host"),
    &text("storage_driver_es_index"),
    &text("storage_driver_es_type"),
    &text("storage_driver_host"),
    &text("storage_driver_influxdb_retention_policy"),
    &text("storage_driver_kafka_broker_list"),
    &text("storage_driver_kafka_ssl_ca"),
    &text("storage_driver_kafka_ssl_cert"),
    &text("storage_driver_kafka_ssl_key"),
    &switch("storage_driver_kafka_ssl_verify"),
    &text("storage_driver_kafka_topic"),
    &text("storage_driver_password"),
    &switch("storage_driver_secure"),
    &text("storage_driver_table"),
    &text("storage_driver_user"),
    &text("storage_duration"),
    &text("update_machine_info_interval"),
    &text("v"),
    &text("vmodule"),
];

const fn text(name: &'static str) -> Flag {
    hidden(Flag::new(name, FlagKind::Text, "", NO_EFFECT))
}

const fn switch(name: &'static str) -> Flag {
    hidden(Flag::new(name, FlagKind::Bool, "false", NO_EFFECT))
}

const fn hidden(mut flag: Flag) -> Flag {
    flag.hidden = true;
    flag
}

const NO_EFFECT: &str = "Taken for command lines written for cAdvisor; has no effect.";
