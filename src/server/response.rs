//! A response on its way out, watched to its last byte.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::{Body as _, Frame};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::{Status, body::Body};

use super::{
    messages,
    observed::ObservedCall,
    panics,
    refusal::{Outcome, Refusal},
};

/// What ends a stream before its time.
pub(crate) type End = Pin<Box<dyn Future<Output = Refusal> + Send>>;

/// A response's body. However it ends, it ends with a status.
pub(crate) struct ResponseBody {
    inner: Body,
    observed: ObservedCall,
    gzip: bool,
    end: Option<End>,
    ended: bool,
    /// A call that a drain waits for is in flight until its last byte is out.
    _in_flight: Option<TaskTrackerToken>,
}

impl ResponseBody {
    pub(crate) fn new(
        inner: Body,
        observed: ObservedCall,
        gzip: bool,
        end: Option<End>,
        in_flight: Option<TaskTrackerToken>,
    ) -> Self {
        Self {
            inner,
            observed,
            gzip,
            end,
            ended: false,
            _in_flight: in_flight,
        }
    }

    fn end_with(&mut self, status: Status) -> Option<Result<Frame<Bytes>, Status>> {
        self.ended = true;
        let mut trailers = HeaderMap::new();
        let added = status.add_header(&mut trailers);
        self.observed.ends(&trailers);
        Some(added.map(|()| Frame::trailers(trailers)))
    }

    fn poll_inner(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, Status>> {
        let poll = panics::caught_now(|| Pin::new(&mut self.inner).poll_frame(context));
        let frame = match poll {
            Err(panicked) => return Poll::Ready(Err(self.observed.subject.refuse(panicked))),
            Ok(poll) => ready!(poll).transpose()?,
        };
        let Some(frame) = frame else {
            return Poll::Ready(Ok(None));
        };
        let frame = match frame.into_data() {
            Ok(data) => {
                let data = messages::send(data, self.gzip)
                    .map_err(|refusal| self.observed.subject.refuse(refusal))?;
                self.observed.sent += messages::content(&data);
                Frame::data(data)
            }
            Err(mut frame) => {
                if let Some(trailers) = frame.trailers_mut() {
                    self.observed.subject.complete(trailers, Outcome::Unknown);
                    self.observed.ends(trailers);
                }
                frame
            }
        };
        Poll::Ready(Ok(Some(frame)))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut self.end
            && let Poll::Ready(refusal) = end.as_mut().poll(context)
        {
            let status = self.observed.subject.refuse(refusal);
            return Poll::Ready(self.end_with(status));
        }
        Poll::Ready(match ready!(self.poll_inner(context)) {
            Ok(frame) => frame.map(Ok),
            Err(status) => self.end_with(status),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}

/// A response that is only a status.
pub(crate) fn refused(status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    // Messages are percent-encoded and details are base64: both fit a header.
    let _ = status.add_header(response.headers_mut());
    response
}
