//! The answer to `GET /metrics`: scrape, merge, encode, compress.

use crate::own::Own;
use crate::{Refused, Scrape, Scraper};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use exposition::{Page, Part, negotiate};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Serves pages of metrics and counts how that goes.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) own: Own,
    /// Scrapes at once above which the answer is 503; none if 0 or less.
    pub(crate) max_requests: i64,
    pub(crate) own_shown: bool,
    pub(crate) openmetrics: bool,
    /// Memory of the last page.
    pub(crate) spare: Mutex<Spare>,
}

/// What one page needs and the next can use again.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    page: Page,
    text: Vec<u8>,
    /// The part with the own metrics.
    own: Part,
}

impl Metrics {
    /// Answers a scrape with the page of `scraper`, own metrics included.
    pub(crate) async fn answer(self: Arc<Self>, scraper: Arc<dyn Scraper>, request: Request) -> Response<Body> {
        // A scraper that hangs up in mid-scrape must not stay counted as in flight.
        struct InFlight<'a>(&'a Own, u16);
        impl Drop for InFlight<'_> {
            fn drop(&mut self) {
                self.0.leave(self.1);
            }
        }
        let in_flight = self.own.enter();
        let mut counted = InFlight(&self.own, 499);
        if self.max_requests > 0 && in_flight > self.max_requests {
            counted.1 = 503;
            let text = format!("Limit of concurrent requests reached ({}), try again later.", self.max_requests);
            return refusal(&Refused { status: 503, text });
        }
        let response = self.page(&*scraper, request.headers(), request.uri(), true).await;
        counted.1 = response.status().as_u16();
        response
    }

    /// Answers a scrape of something else than this service itself (`/probe`): no own metrics, not counted.
    pub(crate) async fn probe(self: Arc<Self>, scraper: Arc<dyn Scraper>, request: Request) -> Response<Body> {
        self.page(&*scraper, request.headers(), request.uri(), false).await
    }

    async fn page(&self, scraper: &dyn Scraper, headers: &HeaderMap, uri: &Uri, with_own: bool) -> Response<Body> {
        let scrape = read_scrape(headers, uri);
        let mut parts = match scraper.scrape(&scrape).await {
            Ok(parts) => parts,
            Err(refused) => {
                tracing::warn!(err = %refused, "scrape refused");
                return refusal(&refused);
            }
        };
        let Spare { mut page, mut text, mut own } = std::mem::take(&mut *self.spare());
        text.clear();
        own.clear();
        if with_own {
            self.own.emit_build(&mut own);
            if self.own_shown {
                self.own.emit(&mut own);
            }
        }
        parts.push(own);
        let conflicts = page.refill(parts);
        if let Some(first) = conflicts.first() {
            self.own.conflicts(conflicts.len());
            tracing::warn!(count = conflicts.len(), first = %first, "left out of the page");
        }
        let accept = headers.get(header::ACCEPT).map_or("", |v| v.to_str().unwrap_or_default());
        let format = negotiate(accept, self.openmetrics);
        page.write(format, &mut text);
        let mut parts = page.take_parts();
        let own = parts.pop().unwrap_or_default();
        scraper.recycle(parts);

        let encoding = headers.get(header::ACCEPT_ENCODING).map_or("", |v| v.to_str().unwrap_or_default());
        let mut response = Response::new(Body::empty());
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        if service::compress::wants_gzip(encoding) {
            fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            let packed = service::compress::gzip(&text);
            *self.spare() = Spare { page, text, own };
            *response.body_mut() = Body::from(packed);
        } else {
            *self.spare() = Spare { page, text: Vec::new(), own };
            *response.body_mut() = Body::from(text);
        }
        response
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as Go's `http.Error` writes it.
fn refusal(refused: &Refused) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{}\n", refused.text)));
    *response.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn read_scrape(headers: &HeaderMap, uri: &Uri) -> Scrape {
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let timeout_seconds = headers
        .get("x-prometheus-scrape-timeout-seconds")
        .and_then(|v| v.to_str().ok()?.parse::<f64>().ok())
        .filter(|s| s.is_finite() && *s > 0.0);
    let budget = timeout_seconds.map_or(NO_TIMEOUT, |s| {
        let margin = (s * MARGIN_SHARE).min(MARGIN_MOST);
        Duration::try_from_secs_f64(s - margin).unwrap_or(NO_TIMEOUT).min(LONGEST)
    });
    Scrape { query, deadline: Instant::now() + budget, timeout_seconds }
}

/// What is left of a scrape's time for encoding and sending.
const MARGIN_SHARE: f64 = 0.05;
const MARGIN_MOST: f64 = 0.5;
/// For callers that name no time-out (a person with curl).
const NO_TIMEOUT: Duration = Duration::from_secs(30);
/// No scrape waits longer, whatever the header says.
const LONGEST: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_leaves_a_margin() {
        let mut headers = HeaderMap::new();
        headers.insert("x-prometheus-scrape-timeout-seconds", HeaderValue::from_static("10"));
        let scrape = read_scrape(&headers, &Uri::from_static("/metrics"));
        let left = scrape.deadline.duration_since(Instant::now()).as_secs_f64();
        assert!((9.0..9.51).contains(&left), "{left}");
        for bad in ["-1", "0", "NaN", "inf", "x", "1e300"] {
            headers.insert("x-prometheus-scrape-timeout-seconds", HeaderValue::from_static(bad));
            assert!(read_scrape(&headers, &Uri::from_static("/metrics")).deadline > Instant::now());
        }
    }
}
