//! The page at `/`, and the two health addresses.

use crate::app::ReadyFn;
use crate::program::Version;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

/// A landing page: title, version, one sentence, links, and what the program says of its state.
#[derive(Clone)]
pub struct Landing {
    title: String,
    about: String,
    version: String,
    links: Vec<Link>,
    state: Option<Arc<StateFn>>,
}

/// Gives a piece of HTML, asked at each view.
pub type StateFn = dyn Fn() -> String + Send + Sync;

#[derive(Clone, Debug)]
struct Link {
    path: String,
    text: String,
    about: String,
}

impl Landing {
    /// A page whose only links are the health addresses.
    pub fn new(title: &str, about: &str, version: Version) -> Self {
        Self {
            title: title.to_owned(),
            about: about.to_owned(),
            version: version.to_string(),
            links: Vec::new(),
            state: None,
        }
    }

    /// The same page with this link more; the health addresses stay last.
    #[must_use]
    pub fn link(mut self, path: &str, text: &str, about: &str) -> Self {
        self.links.push(Link { path: path.to_owned(), text: text.to_owned(), about: about.to_owned() });
        self
    }

    /// The same page with `state` below the links: trusted HTML, anything foreign in it passed through [`escape`].
    #[must_use]
    pub fn state(mut self, state: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.state = Some(Arc::new(state));
        self
    }

    fn render(&self) -> String {
        let (title, about, version) = (escape(&self.title), escape(&self.about), escape(&self.version));
        let mut out = String::with_capacity(4096);
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"UTF-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1></header>\n<main>\n<h2>{about}</h2>\n<p>Version: {version}</p>\n<ul>\n"
        );
        let own = self.links.iter().map(|l| (&*l.path, &*l.text, &*l.about));
        for (path, text, about) in own.chain(HEALTH_LINKS) {
            let (path, text, about) = (escape(path), escape(text), escape(about));
            let _ = writeln!(out, "<li><a href=\"{path}\">{text}</a> <small>{about}</small></li>");
        }
        out.push_str("</ul>\n");
        if let Some(state) = &self.state {
            out.push_str(&state());
        }
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Landing").field("title", &self.title).field("links", &self.links).finish_non_exhaustive()
    }
}

/// Makes a text safe inside HTML elements and quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The routes that every service has, around those of the program.
pub(crate) fn routes(router: Router, landing: Option<Landing>, name: &str, ready: Arc<ReadyFn>) -> Router {
    let healthy = format!("{name} is healthy.\n");
    let ready_text = format!("{name} is ready.\n");
    let not_ready = format!("{name} is not ready.\n");
    let mut router = router.route(HEALTHY, any(move || async move { healthy })).route(
        READY,
        any(move || async move {
            if ready() { (StatusCode::OK, ready_text) } else { (StatusCode::SERVICE_UNAVAILABLE, not_ready) }
        }),
    );
    if let Some(landing) = landing {
        router = router.route("/", any(move || async move { page(landing.render()) }));
    }
    router.fallback(not_found)
}

fn page(html: String) -> Response {
    let html_type = HeaderValue::from_static("text/html; charset=UTF-8");
    ([(header::CONTENT_TYPE, html_type)], html).into_response()
}

async fn not_found() -> Response {
    crate::answer::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";
const HEALTH_LINKS: [(&str, &str, &str); 2] = [
    (HEALTHY, "Health", "answers while the process runs"),
    (READY, "Readiness", "answers 200 once it can do its work"),
];
const STYLE: &str = "body{font-family:-apple-system,BlinkMacSystemFont,Segoe UI,Roboto,Helvetica,Arial,sans-serif;\
    margin:0;color:#222;background:#fff;line-height:1.45}\
    header{background-color:#e6522c;color:#fff;padding:.4rem 1rem}h1{font-size:1.4rem;margin:.2rem 0}\
    h2{font-size:1.1rem;font-weight:500}main{padding:0 1rem 1rem;max-width:70rem}a{color:#b03a17}\
    table{border-collapse:collapse;font-size:.9rem}th,td{text-align:left;padding:.15rem .8rem .15rem 0;\
    border-bottom:1px solid #ddd;vertical-align:top}small{color:#555}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        let page = Landing::new("<b>", "a & \"b\"", Version::of("1"))
            .link("/metrics", "Metrics", "")
            .state(|| escape("<script>"))
            .render();
        assert!(page.contains("<h1>&lt;b&gt;</h1>") && page.contains("a &amp; &#34;b&#34;"), "{page}");
        assert!(!page.contains("<script>"));
        assert!(page.contains("<a href=\"/metrics\">Metrics</a>"));
        assert!(page.find("/metrics").unwrap() < page.find("/-/healthy").unwrap());
    }
}
