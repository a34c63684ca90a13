//! Who may change something, what they changed, and the change of the configuration.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};
use service::{Flag, Peer};

use super::{Api, Problem};
use crate::clock::Nanos;
use crate::secret::bearer;
use crate::store::sql::{Connection, StoreError, args};

/// `--web.admin-token-file`.
pub(crate) const ADMIN_TOKEN: Flag = Flag::text(
    "web.admin-token-file",
    "",
    "File with the bearer token that the writing calls of the API need; without it they are open to whoever may connect.",
);

/// Whoever asks to change something: allowed, and known to the audit log.
pub(crate) struct Admin {
    remote: String,
    /// What it asks of this replica is asked of the others as well.
    of_all: bool,
}

impl Admin {
    /// The owner of the process, by a signal.
    pub(crate) fn by_signal(name: &str) -> Self {
        Self { remote: name.to_owned(), of_all: true }
    }

    /// This replica alone, for a reason.
    pub(crate) fn by_itself(why: &str) -> Self {
        Self { remote: why.to_owned(), of_all: false }
    }

    /// Writes down what is being done, in the transaction that does it.
    pub(super) fn audit(&self, db: &mut dyn Connection, action: &str, detail: &str) -> Result<(), StoreError> {
        db.execute(
            "INSERT INTO audit (at_ns, remote, action, detail) VALUES (?1, ?2, ?3, ?4)",
            args![Nanos::now().0, &self.remote, action, detail],
        )
        .map(drop)
    }
}

impl axum::extract::FromRequestParts<Api> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, api: &Api) -> Result<Self, Response> {
        let remote = parts.extensions.get::<Peer>().map(|p| p.0.to_string()).unwrap_or_default();
        if let Some(refusal) = foreign(&parts.headers) {
            return Err(refusal);
        }
        let Some(token) = &api.admin_token else { return Ok(Self { remote, of_all: true }) };
        match token.is(&shown(&parts.headers)) {
            Ok(true) => Ok(Self { remote, of_all: true }),
            Ok(false) => {
                tracing::warn!(remote, path = parts.uri.path(), "refused a writing call without the admin token");
                let text = "this call needs the token of --web.admin-token-file\n";
                Err((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response())
            }
            Err(e) => Err(unreadable(&e)),
        }
    }
}

fn unreadable(e: &str) -> Response {
    tracing::error!(error = e, "--web.admin-token-file");
    (StatusCode::SERVICE_UNAVAILABLE, "the token of --web.admin-token-file cannot be read now\n").into_response()
}

/// The token that a request shows: as a bearer, in a header of its own where the login of the web configuration takes the
/// `Authorization`, or in the cookie of the page.
fn shown(headers: &HeaderMap) -> String {
    let own = headers.get("x-admin-token").and_then(|v| v.to_str().ok());
    if let Some(token) = bearer(headers).or(own) {
        return token.to_owned();
    }
    let cookies = headers.get(header::COOKIE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let cookie = cookies.split(';').find_map(|c| c.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    let pair = cookie.map(|value| format!("t={value}")).unwrap_or_default();
    form(pair.as_bytes(), "t")
}

/// A value of a form.
pub(super) fn form(body: &[u8], name: &str) -> String {
    form_urlencoded::parse(body).find(|(n, _)| n == name).map(|(_, v)| v.into_owned()).unwrap_or_default()
}

/// A form on somebody else's page must not steer this sink with the reader's own rights.
fn foreign(headers: &HeaderMap) -> Option<Response> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let refusal = || (StatusCode::FORBIDDEN, "asked for by another site\n").into_response();
    // A browser that says where a request comes from is believed; its `Origin` may be `null` for reasons of privacy.
    if let Some(site) = text("sec-fetch-site") {
        return (site != "same-origin" && site != "none").then(refusal);
    }
    let other_host = match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, o)| o != host),
        _ => false,
    };
    other_host.then(refusal)
}

impl Api {
    /// Whether the page's buttons would be refused for want of the token.
    pub(crate) fn wants_login(&self, headers: &HeaderMap) -> bool {
        self.admin_token.as_ref().is_some_and(|token| token.is(&shown(headers)) != Ok(true))
    }
}

/// Takes the token from the page's form and leaves it in a cookie that no script can read and no other site can send.
pub(super) async fn login(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = foreign(&headers) {
        return refusal;
    }
    let (given, back) = (form(&body, "token"), form(&body, "back"));
    let back = if crate::page::is_local(&back) { back } else { "/".into() };
    let right = api.admin_token.as_ref().map_or(Ok(true), |token| token.is(&given));
    match right {
        Err(e) => unreadable(&e),
        Ok(false) => {
            tracing::warn!("refused a login with a wrong admin token");
            (StatusCode::UNAUTHORIZED, "that is not the token of --web.admin-token-file\n").into_response()
        }
        Ok(true) => {
            let value: String = form_urlencoded::byte_serialize(given.as_bytes()).collect();
            let cookie = format!("{COOKIE}={value}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
            let mut answer = Redirect::to(&back).into_response();
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                answer.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            answer
        }
    }
}

pub(super) async fn audit_log(State(api): State<Api>, _admin: Admin) -> Result<Json<Value>, Problem> {
    let rows = api
        .store
        .read(|db| {
            db.all("SELECT at_ns, remote, action, detail FROM audit ORDER BY id DESC LIMIT 500", &[], |row| {
                Ok(json!({
                    "at": Nanos(row.int(0)?).rfc3339(), "remote": row.text(1)?, "action": row.text(2)?,
                    "detail": row.text(3)?,
                }))
            })
        })
        .await?;
    Ok(Json(json!({ "audit": rows })))
}

/// The replicas that share the store, and whether they go by the same configuration as this one.
pub(super) async fn replicas(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let config = api.live.in_force();
    let rows: Vec<Value> = api
        .replicas
        .all(&api.store)
        .await?
        .iter()
        .map(|r| {
            json!({
                "name": r.name, "seen": r.seen.rfc3339(), "version": r.version,
                "config": format!("{:016x}", r.config), "same_config": r.config == config,
            })
        })
        .collect();
    Ok(Json(json!({ "replicas": rows })))
}

/// `POST /-/reload`, answered as Prometheus does.
pub(super) async fn reload_now(State(api): State<Api>, admin: Admin) -> Result<Json<Value>, Problem> {
    match reload(&api, admin).await {
        Ok(config) => Ok(Json(json!({ "status": "ok", "targets": config.0, "routes": config.1 }))),
        Err(text) => Err(Problem { status: StatusCode::INTERNAL_SERVER_ERROR, text }),
    }
}

/// Reads `--config.file` again and writes down who asked for it and what came of it; answers the number of targets and
/// routes.
pub(crate) async fn reload(api: &Api, admin: Admin) -> Result<(usize, usize), String> {
    let done = api.live.reload().await;
    let detail = match &done {
        Ok(config) => format!("{} targets, {} routes", config.targets.len(), config.routes.len()),
        Err(e) => e.clone(),
    };
    // The configuration is in force whether or not it could be written down.
    let replicas = api.replicas.clone();
    let written = api.store.write(move |db| {
        if admin.of_all {
            // The others have files of their own: that this one's is bad says nothing of theirs.
            replicas.tell(db)?;
        }
        admin.audit(db, "reload", &detail)
    });
    if let Err(e) = written.await {
        tracing::warn!(error = %e, "cannot write to the audit log, nor tell other replicas");
    }
    done.map(|config| (config.targets.len(), config.routes.len()))
}

const COOKIE: &str = "admin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_wherever_it_may_stand() {
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        assert_eq!(shown(&with("authorization", "Bearer a b")), "a b");
        assert_eq!(shown(&with("x-admin-token", "t")), "t");
        assert_eq!(shown(&with("cookie", "lang=ko; admin=a%2Bb+c; theme=dark")), "a+b c");
        assert_eq!(shown(&with("cookie", "badmin=x")), "");
        assert_eq!(shown(&HeaderMap::new()), "");
    }
}
