//! Answers that `service` gives by itself, worded as Go's net/http words them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

/// A short text as Go's `http.Error` sends it: plain, and not to be sniffed.
pub fn text(status: StatusCode, body: &'static str) -> Response {
    owned_text(status, body.to_owned())
}

/// [`text`] for a text made at run time.
pub fn owned_text(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A 400 after which the connection is closed.
pub(crate) fn bad_request(why: &str) -> Response {
    let mut response = owned_text(StatusCode::BAD_REQUEST, format!("400 Bad Request: {why}"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A 301 to `location`, which must be a valid header value.
pub(crate) fn moved(location: &str, with_body: bool) -> Response {
    let Ok(value) = HeaderValue::from_str(location) else { return bad_request("malformed path") };
    let body = if with_body {
        format!("<a href=\"{}\">Moved Permanently</a>.\n\n", crate::landing::escape(location))
    } else {
        String::new()
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let headers = response.headers_mut();
    if with_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    }
    headers.insert(header::LOCATION, value);
    response
}

/// What a client gets that speaks plain HTTP to a TLS port.
pub(crate) const PLAIN_ON_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// What a client gets that asks for a protocol other than HTTP/1.
pub(crate) const VERSION_NOT_SUPPORTED: &[u8] =
    b"HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version\r\n\
    Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    505 HTTP Version Not Supported: unsupported protocol version";
