//! What the public port serves: routes to protocols, and files.
//!
//! In: a request. Out: a call of the protocol's own file, or an answer of one piece.

use super::Node;
use super::respond::Answer;
use crate::http::assets::{self, is_fresh};
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::http::response::Cache;
use crate::http::routes::{self, Route, Service};
use crate::http::url;
use crate::ids::ConnId;
use crate::session::ServiceKind;
use std::rc::Rc;

/// A file of `--static-dir`, read at the start.
#[derive(Debug)]
pub struct StaticFile {
    /// Its path below the folder, with slashes.
    pub name: String,
    /// Its type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Vec<u8>,
    /// Its entity tag, quotes included.
    pub etag: String,
}

impl StaticFile {
    /// A file of these bytes; its name tells its type.
    #[must_use]
    pub fn new(name: String, body: Vec<u8>) -> Self {
        let ending = name.rsplit('.').next().unwrap_or_default();
        let known = TYPES.iter().find(|(known, _)| *known == ending);
        let content_type = known.map_or("application/octet-stream", |(_, kind)| kind);
        Self {
            etag: assets::etag(&body),
            name,
            content_type,
            body,
        }
    }
}

impl Node {
    /// Serves these files in front of the built-in pages.
    pub fn set_files(&mut self, files: Vec<StaticFile>) {
        self.files = files.into_iter().map(Rc::new).collect();
    }

    pub(super) fn serve_public(&mut self, id: ConnId, request: &Request<'_>) {
        match routes::public(request.path) {
            Route::Csp(Service::Echo, _) | Route::ServiceSocket(Service::Echo)
                if !self.config.demo =>
            {
                let reason = "echo is for trying things out, in demo mode.".to_owned();
                self.fault(id, request, &NOT_OFFERED.with_reason(reason));
            }
            Route::Csp(service, endpoint) => self.serve_csp(id, request, kind(service), endpoint),
            Route::ServiceSocket(service) => self.service_socket(id, request, kind(service)),
            Route::Events => self.serve_events(id, request),
            Route::Revolved(call) => self.serve_revolved(id, request, call),
            Route::Location(location) => self.serve_location(id, request, location),
            Route::Stomp => self.stomp_socket(id, request),
            Route::Bayeux => self.serve_bayeux(id, request),
            Route::Asset(name) => self.serve_file(id, request, name),
            Route::NotOffered(what) => {
                let reason = format!("This version does not offer {what}.");
                self.fault(id, request, &NOT_OFFERED.with_reason(reason));
            }
            Route::Unknown if self.config.locations.iter().any(|it| it == request.path) => {
                self.serve_location(id, request, request.path);
            }
            Route::Unknown => {
                let path = request.path.strip_prefix('/').unwrap_or_default();
                let name = url::decode_path(path).unwrap_or_default();
                self.serve_file(id, request, &name);
            }
        }
    }

    /// A file of the operator's, else a built-in one.
    fn serve_file(&mut self, id: ConnId, request: &Request<'_>, name: &str) {
        if request.method == Method::Post {
            return self.fault(id, request, &NOT_POST);
        }
        if let Some(file) = self.files.iter().find(|file| file.name == name).cloned() {
            return self.answer_file(id, request, (file.content_type, &file.body, &file.etag));
        }
        let Some((asset, etag)) = self.assets.find(name) else {
            return self.fault(id, request, &NOT_FOUND);
        };
        let etag = etag.to_owned();
        self.answer_file(id, request, (asset.content_type, asset.body, &etag));
    }

    fn answer_file(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        (content_type, body, etag): (&str, &[u8], &str),
    ) {
        let answer = match is_fresh(&request.headers, etag) {
            true => Answer::new(304, content_type, &[]),
            false => Answer::new(200, content_type, body),
        };
        self.answer(
            id,
            request,
            Answer {
                cache: Cache::Etag(etag),
                ..answer
            },
        );
    }
}

fn kind(service: Service) -> ServiceKind {
    match service {
        Service::Revolved => ServiceKind::Revolved,
        Service::Echo => ServiceKind::Echo,
        Service::Orbit => ServiceKind::Orbit,
        Service::Stomp => ServiceKind::StompGuest,
    }
}

/// The answer to a path that names nothing.
pub(super) const NOT_FOUND: Fault = Fault::new(
    404,
    "not-found",
    "There is nothing here.",
    "The pages begin at /, the protocols at /_/.",
);
const NOT_OFFERED: Fault = Fault::new(
    404,
    "not-offered",
    "",
    "The services of this version are orbit, revolved, stomp and echo.",
);
const NOT_POST: Fault = Fault::new(
    405,
    "method-not-allowed",
    "A file is not posted to.",
    "Use GET.",
)
.with_headers(&[("Allow", "GET, HEAD, OPTIONS")]);
const TYPES: [(&str, &str); 14] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("gif", "image/gif"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("wasm", "application/wasm"),
    ("txt", "text/plain; charset=utf-8"),
];
