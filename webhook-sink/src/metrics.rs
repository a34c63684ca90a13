//! The sink's own metrics.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::message::Reason;
use crate::store::Watch;

/// One label of a name known at compile time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct One<const N: usize>(pub(crate) [(&'static str, String); N]);

impl<const N: usize> EncodeLabelSet for One<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel;
        for (name, value) in &self.0 {
            (*name, value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// All of them; cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) deliveries: Family<One<1>, Counter>,
    pub(crate) refused: Family<One<1>, Counter>,
    pub(crate) invalid: Family<One<1>, Counter>,
    pub(crate) bytes: Counter,
    pub(crate) last_delivery: Gauge<f64, std::sync::atomic::AtomicU64>,
    commits: Histogram,
    batch: Histogram,
}

impl Metrics {
    /// Makes them and registers each with its help.
    pub(crate) fn register(registry: &mut Registry) -> Arc<Self> {
        let seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
        let this = Self {
            deliveries: Family::default(),
            refused: Family::default(),
            invalid: Family::default(),
            bytes: Counter::default(),
            last_delivery: Gauge::default(),
            commits: Histogram::new(seconds),
            batch: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
        };
        // Every series is there from the start, so that rate() sees the first event.
        for kind in ["alerts", "events", "raw"] {
            let _ = this.deliveries.get_or_create(&One([("kind", kind.into())]));
        }
        for reason in Reason::ALL {
            let _ = this.invalid.get_or_create(&One([("reason", reason.name().into())]));
        }
        for reason in ["overload", "store"] {
            let _ = this.refused.get_or_create(&One([("reason", reason.into())]));
        }
        registry.register("webhook_sink_deliveries", "Deliveries stored and acknowledged.", this.deliveries.clone());
        registry.register("webhook_sink_refused", "Deliveries answered 503, to be sent again.", this.refused.clone());
        registry.register("webhook_sink_invalid", "Bodies answered 4xx.", this.invalid.clone());
        registry.register("webhook_sink_received_bytes", "Bytes of the bodies stored.", this.bytes.clone());
        registry.register(
            "webhook_sink_last_delivery_timestamp_seconds",
            "When the newest delivery was acknowledged; 0 before the first since the start.",
            this.last_delivery.clone(),
        );
        registry.register(
            "webhook_sink_commit_duration_seconds",
            "Time of one commit with its fsync.",
            this.commits.clone(),
        );
        registry.register("webhook_sink_commit_batch", "Deliveries acknowledged by one commit.", this.batch.clone());
        Arc::new(this)
    }
}

impl Watch for Arc<Metrics> {
    fn committed(&self, deliveries: usize, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        self.batch.observe(deliveries as f64);
    }
}
