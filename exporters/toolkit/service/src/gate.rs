//! What happens to each request before and after its handler, in the order of the contract.

use crate::answer;
use crate::body::{Answer, Arriving};
use crate::connections::{Place, Slot};
use crate::path::{self, Seen};
use crate::serve::Shared;
use crate::web::Headers;
use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Request, StatusCode, Uri, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::ServiceExt;

/// The service of one connection.
#[derive(Clone)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    peer: Peer,
}

/// Who sent a request: an extension of each one.
#[derive(Clone, Debug)]
pub struct Peer(pub Arc<str>);

impl Gate {
    pub(crate) fn new(shared: Arc<Shared>, place: &Place) -> Self {
        Self { shared, slot: Arc::clone(&place.slot), peer: Peer(Arc::clone(&place.peer)) }
    }
}

impl hyper::service::Service<Request<Incoming>> for Gate {
    type Response = axum::http::Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        let busy = self.slot.begin();
        let (shared, slot) = (Arc::clone(&self.shared), Arc::clone(&self.slot));
        Box::pin(async move {
            let head = *request.method() == Method::HEAD;
            let answered = Catch(Box::pin(answer(&shared, &slot, request))).await;
            Ok(answered.map(|body| Answer::new(body, busy, head)))
        })
    }
}

async fn answer(shared: &Shared, slot: &Arc<Slot>, request: Request<Incoming>) -> Response {
    if let Some(refusal) = malformed(&request) {
        return refusal;
    }
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return Response::new(Body::empty());
    }
    let headers = match &shared.web {
        Some(web) => match web.admit(request.headers()).await {
            Ok(headers) => headers,
            Err(refusal) => return refusal,
        },
        None => Headers::default(),
    };
    let mut response = route(shared, slot, request).await;
    headers.set(response.headers_mut());
    response
}

async fn route(shared: &Shared, slot: &Arc<Slot>, request: Request<Incoming>) -> Response {
    let mut request = request.map(|body| Body::new(Arriving::new(body, shared.limits().body, Arc::clone(slot))));
    match path::see(request.uri().path()) {
        Seen::Clean => {}
        Seen::BadEscape => return answer::bad_request("malformed escape in the path"),
        Seen::Redirect(to) if !shared.redirects => match with_path(request.uri(), &to) {
            Some(uri) => *request.uri_mut() = uri,
            None => return answer::bad_request("malformed path"),
        },
        Seen::Redirect(to) => {
            let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
            let shown = [&Method::GET, &Method::HEAD].contains(&request.method());
            return answer::moved(&format!("{to}{query}"), shown);
        }
        Seen::Plain(plain) => match with_path(request.uri(), &plain) {
            Some(uri) => *request.uri_mut() = uri,
            None => return answer::bad_request("malformed path"),
        },
    }
    match shared.router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// What hyper lets through and Go does not.
fn malformed(request: &Request<Incoming>) -> Option<Response> {
    if request.version() > Version::HTTP_11 {
        return None;
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 && request.method() != Method::CONNECT => {
            Some(answer::bad_request("missing required Host header"))
        }
        (Some(_), Some(_)) => Some(answer::bad_request("too many Host headers")),
        _ => None,
    }
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// Answers 500 for a handler that panics; the panic hook has logged it.
struct Catch<'a>(Pin<Box<dyn Future<Output = Response> + Send + 'a>>);

impl Future for Catch<'_> {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)));
        polled
            .unwrap_or_else(|_| Poll::Ready(answer::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")))
    }
}
