//! The pages: written by the server, whole without script, live with it.
//!
//! All that came from an alert goes through askama's HTML escaping; links are built here, and only http and https ones
//! are kept. The Content-Security-Policy allows nothing that is not this program's own.

mod alert;
mod assets;
mod deliveries;
mod home;
mod item;
mod words;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::api::{Api, Problem};
use words::Words;

/// The routes of the pages.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/alert/{fingerprint}", get(alert::show))
        .route("/deliveries", get(deliveries::list))
        .route("/delivery/{id}", get(deliveries::one))
        .route("/outbox", get(deliveries::outbox))
        .route("/health", get(deliveries::health))
        .route("/prefs", get(prefs))
        .route("/assets/{hash}/{name}", get(assets::serve))
        .with_state(api)
}

/// What every page needs: language, theme, and where it is.
pub(crate) struct Context {
    t: &'static Words,
    theme: &'static str,
    here: &'static str,
    live: bool,
    /// This page's address, as it is and encoded as a value.
    path: String,
    back: String,
    version: &'static str,
    style: String,
    script: String,
    uplot_css: String,
    uplot_js: String,
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let address = parts.uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
        Ok(Self::new(&parts.headers, address))
    }
}

impl Context {
    fn new(headers: &HeaderMap, address: &str) -> Self {
        let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or_default();
        let cookies = text(header::COOKIE);
        let cookie = |name: &str| cookies.split(';').find_map(|c| c.trim().strip_prefix(name)?.strip_prefix('='));
        Self {
            t: Words::of(cookie("lang"), text(header::ACCEPT_LANGUAGE)),
            theme: match cookie("theme") {
                Some("dark") => "dark",
                Some("light") => "light",
                _ => "",
            },
            here: "",
            live: false,
            path: address.to_owned(),
            back: encode(address),
            version: env!("CARGO_PKG_VERSION"),
            style: assets::href("style.css"),
            script: assets::href("app.js"),
            uplot_css: assets::href("uplot.css"),
            uplot_js: assets::href("uplot.js"),
        }
    }

    fn at(mut self, here: &'static str, live: bool) -> Self {
        (self.here, self.live) = (here, live);
        self
    }
}

/// A finished page with the headers that keep it harmless.
fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut answer = Html(html).into_response();
            let headers = answer.headers_mut();
            for (name, value) in [
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                // `no-referrer` would make the origin of our own forms `null`.
                (header::REFERRER_POLICY, "same-origin"),
                (header::CACHE_CONTROL, "no-store"),
                (header::VARY, "cookie, accept-language"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            answer
        }
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the page cannot be written: {e}\n")).into_response(),
    }
}

/// A problem as a page's text; the API's JSON is for programs.
struct Trouble(Problem);

impl<E: Into<Problem>> From<E> for Trouble {
    fn from(e: E) -> Self {
        Self(e.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.0.status, format!("{}\n", self.0.text)).into_response()
    }
}

#[derive(Debug, Deserialize)]
struct Prefs {
    lang: Option<String>,
    theme: Option<String>,
    #[serde(default)]
    back: String,
}

/// Remembers language and theme in a cookie and goes back to where the reader was.
async fn prefs(Query(asked): Query<Prefs>) -> Response {
    let mut answer = Redirect::to(if is_local(&asked.back) { &asked.back } else { "/" }).into_response();
    let known = [("lang", asked.lang, ["ko", "en"]), ("theme", asked.theme, ["light", "dark"])];
    for (name, value, allowed) in known {
        let cookie = value
            .filter(|v| allowed.contains(&v.as_str()))
            .and_then(|v| HeaderValue::from_str(&format!("{name}={v}; Path=/; Max-Age=31536000; SameSite=Lax")).ok());
        if let Some(cookie) = cookie {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    answer
}

/// Whether that is a path of this server: `//host` and `/\host` would be another's.
pub(crate) fn is_local(path: &str) -> bool {
    path.starts_with('/') && !path[1..].starts_with(['/', '\\']) && !path.chars().any(char::is_control)
}

/// Percent-encodes a text as a value of a query.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    out
}

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";
