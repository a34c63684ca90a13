//! Style and script, compiled in, under names that change with their content.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 4] = [
    Asset { name: "app.js", kind: "text/javascript; charset=utf-8", bytes: include_bytes!("../../assets/app.js") },
    Asset { name: "style.css", kind: "text/css; charset=utf-8", bytes: include_bytes!("../../assets/style.css") },
    Asset {
        name: "uplot.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("../../assets/vendor/uplot/uPlot.min.css"),
    },
    Asset {
        name: "uplot.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../assets/vendor/uplot/uPlot.iife.min.js"),
    },
];

const fn hash(bytes: &[u8]) -> u64 {
    let (mut hash, mut i) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

/// The address of a file: `/assets/HASH/NAME`.
pub(super) fn href(name: &str) -> String {
    let bytes = ASSETS.iter().find(|a| a.name == name).map_or(&[][..], |a| a.bytes);
    format!("/assets/{:016x}/{name}", hash(bytes))
}

/// `GET /assets/{hash}/{name}`. Another version's hash gets today's content, but is not to be kept.
pub(super) async fn serve(Path((asked, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|a| a.name == name) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let current = asked == format!("{:016x}", hash(asset.bytes));
    let cache = if current { "public, max-age=31536000, immutable" } else { "no-store" };
    let head = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, cache), (header::VARY, "accept-encoding")];
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if service::compress::wants_gzip(accepted) {
        return (head, [(header::CONTENT_ENCODING, "gzip")], service::compress::gzip(asset.bytes)).into_response();
    }
    (head, asset.bytes).into_response()
}
