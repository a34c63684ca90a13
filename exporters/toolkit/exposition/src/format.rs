//! Which format an answer is written in.

use crate::{Escaping, Page};

/// A format with its way of escaping names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text 0.0.4.
    Text(Escaping),
    /// OpenMetrics 1.0.0.
    OpenMetrics(Escaping),
    /// The same under the version that older Prometheus servers ask for.
    OpenMetrics001(Escaping),
    /// `io.prometheus.client.MetricFamily`, each message after its length.
    Protobuf(Escaping),
    /// Protobuf's text form, indented.
    ProtobufText(Escaping),
    /// Protobuf's text form, a line for each family.
    ProtobufCompact(Escaping),
}

impl Default for Format {
    fn default() -> Self {
        Self::Text(Escaping::default())
    }
}

macro_rules! with_escaping {
    ($escaping:expr, $($base:tt)+) => {
        match $escaping {
            Escaping::Underscores => concat!($($base)+, "; escaping=underscores"),
            Escaping::Dots => concat!($($base)+, "; escaping=dots"),
            Escaping::Values => concat!($($base)+, "; escaping=values"),
            Escaping::AllowUtf8 => concat!($($base)+, "; escaping=allow-utf-8"),
        }
    };
}

macro_rules! protobuf {
    ($escaping:expr, $encoding:literal) => {
        with_escaping!(
            $escaping,
            concat!("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=", $encoding)
        )
    };
}

impl Format {
    /// The value of the `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text(e) => with_escaping!(e, "text/plain; version=0.0.4; charset=utf-8"),
            Self::OpenMetrics(e) => with_escaping!(e, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            Self::OpenMetrics001(e) => with_escaping!(e, "application/openmetrics-text; version=0.0.1; charset=utf-8"),
            Self::Protobuf(e) => protobuf!(e, "delimited"),
            Self::ProtobufText(e) => protobuf!(e, "text"),
            Self::ProtobufCompact(e) => protobuf!(e, "compact-text"),
        }
    }
}

impl Page {
    /// Appends the page in format `f`.
    pub fn write(&self, f: Format, out: &mut Vec<u8>) {
        match f {
            Format::Text(e) => self.write_text_escaped(e, out),
            Format::OpenMetrics(e) | Format::OpenMetrics001(e) => self.write_openmetrics(e, out),
            Format::Protobuf(e) => self.write_protobuf(e, out),
            Format::ProtobufText(e) => self.write_protobuf_text(e, out),
            Format::ProtobufCompact(e) => self.write_protobuf_compact(e, out),
        }
    }
}

/// Chooses the format for an `Accept` header as promhttp does: the known format of highest weight, text 0.0.4 if there
/// is none. OpenMetrics is only given where the flag allows it, for it renames series.
pub fn negotiate(accept: &str, openmetrics: bool) -> Format {
    let mut best = (0.0, Format::default());
    for clause in accept.split(',') {
        let mut parts = clause.split(';');
        let kind = parts.next().unwrap_or_default().trim();
        let (mut weight, mut version, mut proto, mut encoding) = (1.0, "", "", "");
        let mut escaping = Escaping::default();
        for (name, value) in parts.filter_map(|p| p.split_once('=')) {
            let value = value.trim();
            match name.trim() {
                "q" => weight = value.parse().unwrap_or(0.0),
                "version" => version = value,
                "proto" => proto = value,
                "encoding" => encoding = value,
                "escaping" => escaping = Escaping::parse(value).unwrap_or_default(),
                _ => {}
            }
        }
        let format = match (kind, version) {
            ("text/plain", "" | "0.0.4") => Format::Text(escaping),
            ("application/openmetrics-text", "1.0.0") if openmetrics => Format::OpenMetrics(escaping),
            ("application/openmetrics-text", "" | "0.0.1") if openmetrics => Format::OpenMetrics001(escaping),
            ("application/vnd.google.protobuf", _) if proto == "io.prometheus.client.MetricFamily" => match encoding {
                "delimited" => Format::Protobuf(escaping),
                "text" => Format::ProtobufText(escaping),
                "compact-text" => Format::ProtobufCompact(escaping),
                _ => continue,
            },
            _ => continue,
        };
        // The first of several with the same weight stays. Differs from promhttp: a weight of 0 is a refusal.
        if weight > best.0 {
            best = (weight, format);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    const P: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
                     escaping=underscores";
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
    const OPENMETRICS_UTF8: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    const V2_42: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                         text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const V2_42_NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                                encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
                                application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
                                */*;q=0.1";
    const V2_53: &str = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                         q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const V3_5: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;\
                        escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const V3_5_PROTO: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                              encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;\
                              escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                              text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,\
                              */*;q=0.1";

    #[test]
    fn what_clients_ask_for_and_get() {
        let underscored = V3_5.replace("allow-utf-8", "underscores");
        for (accept, answer, with_openmetrics) in [
            ("", A, A),
            ("*/*", A, A),
            ("text/html", A, A),
            ("application/json", A, A),
            ("rubbish;;=,/,;q", A, A),
            ("text/plain;q=0", A, A),
            (V2_42, A, OPENMETRICS),
            (V2_42_NATIVE, P, P),
            (V2_53, A, OPENMETRICS),
            (V3_5, A, OPENMETRICS_UTF8),
            (&underscored, A, OPENMETRICS),
            (V3_5_PROTO, P, P),
        ] {
            assert_eq!(negotiate(accept, false).content_type(), answer, "{accept}");
            assert_eq!(negotiate(accept, true).content_type(), with_openmetrics, "{accept}");
        }
    }

    #[test]
    fn parameters_choose_the_form() {
        let proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=";
        for (encoding, format) in [
            ("delimited", Format::Protobuf(Escaping::Underscores)),
            ("text", Format::ProtobufText(Escaping::Underscores)),
            ("compact-text", Format::ProtobufCompact(Escaping::Underscores)),
            ("gzip", Format::default()),
        ] {
            let accept = format!("{proto}{encoding}");
            assert_eq!(negotiate(&accept, false), format);
        }
        assert_eq!(
            negotiate("text/plain;version=0.0.4;escaping=allow-utf-8", false),
            Format::Text(Escaping::AllowUtf8)
        );
        assert_eq!(negotiate("text/plain;escaping=nonsense", false), Format::Text(Escaping::Underscores));
        assert_eq!(negotiate("application/openmetrics-text", true), Format::OpenMetrics001(Escaping::Underscores));
    }

    #[test]
    fn the_highest_weight_wins_and_zero_refuses() {
        let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        assert_eq!(negotiate(&format!("{proto};q=0.4,text/plain;q=0.5"), false), Format::default());
        assert_eq!(negotiate(&format!("text/plain;q=0.5,{proto}"), false), Format::Protobuf(Escaping::Underscores));
        assert_eq!(negotiate(&format!("{proto};q=0"), false), Format::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_header_gets_an_answer(accept in any::<String>()) {
            prop_assert!(negotiate(&accept, true).content_type().contains("escaping="));
        }
    }
}
