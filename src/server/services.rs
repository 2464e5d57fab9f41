//! Which service answers a call: the one that its path names.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
};

use http::{Request, Response};
use tonic::{body::Body, codegen::BoxFuture, server::NamedService};
use tower::Service;

type Answer = BoxFuture<Response<Body>, Infallible>;

/// A service as tonic generates it.
pub trait Generated:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Generated for S
where
    S: NamedService + Clone + Send + Sync + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>,
{
}

type Call = Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// Services by their full names. A handful, so a list.
#[derive(Clone, Default)]
pub struct Services(Vec<(&'static str, Call)>);

impl Services {
    /// Adds a generated service.
    #[must_use]
    pub fn with<S: Generated>(mut self, service: S) -> Self {
        self.0.push((
            S::NAME,
            Arc::new(move |request| service.clone().call(request)),
        ));
        self
    }

    /// Adds a generated service that is made when it is first called.
    #[must_use]
    pub fn with_lazy<S: Generated>(mut self, make: fn() -> S) -> Self {
        let service = LazyLock::new(make);
        self.0.push((
            S::NAME,
            Arc::new(move |request| service.clone().call(request)),
        ));
        self
    }

    /// Adds what `others` has.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Calls the service of this name, if it is here.
    pub(crate) async fn call(
        &self,
        service: &str,
        request: Request<Body>,
    ) -> Option<Response<Body>> {
        let (_, answer) = self.0.iter().find(|(name, _)| *name == service)?;
        let Ok(response) = answer(request).await;
        Some(response)
    }
}
