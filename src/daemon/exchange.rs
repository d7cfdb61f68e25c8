//! One HTTP exchange on a connection: what gRPC's framing is laid upon.
//!
//! Stands between the framing, which takes what a peer sends for gRPC, and peers that are none: a proxy's page of HTML, a
//! captive portal, a status with details that cannot be read.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http2::SendRequest,
};
use tonic::{Code, Status, body::Body};
use tower_service::Service;

/// Sends requests on one connection.
#[derive(Clone)]
pub(super) struct Exchange(SendRequest<Body>);

impl Exchange {
    pub(super) fn new(sender: SendRequest<Body>) -> Self {
        Self(sender)
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Who we are to servers that keep a log.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("olvid-rules/", env!("CARGO_PKG_VERSION")));

impl Service<Request<Body>> for Exchange {
    type Response = Response<Answer>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        let response = self.0.send_request(request);
        Box::pin(async move {
            let mut response = response.await?;
            without_details(response.headers_mut());
            match foreign(&response) {
                Some(status) => Err(status.into()),
                None => Ok(response.map(Answer)),
            }
        })
    }
}

/// The body of an answer.
pub(super) struct Answer(Incoming);

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame {
            frame.trailers_mut().map(without_details);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Nothing reads a status' details, and the framing panics at those that are not well-formed.
fn without_details(headers: &mut HeaderMap) {
    headers.remove("grpc-status-details-bin");
}

/// The status of an answer that is not gRPC, by gRPC's table for those.
fn foreign(response: &Response<Incoming>) -> Option<Status> {
    let headers = response.headers();
    if headers.contains_key("grpc-status") {
        return None;
    }
    let code = match response.status() {
        StatusCode::OK => {
            let kind = headers.get(header::CONTENT_TYPE)?;
            let kind = String::from_utf8_lossy(kind.as_bytes());
            let ours = kind.starts_with("application/grpc");
            return (!ours).then(|| Status::unknown(format!("the server answers with `{kind}`, which is not gRPC")));
        }
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Some(Status::new(code, format!("the server answers with HTTP {}, as a proxy does", response.status())))
}
