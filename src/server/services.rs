//! Which service answers a call: the one that its path names.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
};

use http::{Request, Response};
use tonic::{body::Body, codegen::BoxFuture, server::NamedService};
use tower::Service;

use super::method::{Method, Shape};

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

/// What the methods of a service are like, by their names.
type Shapes = fn(&str) -> Shape;

/// Services by their full names. A handful, so a list.
#[derive(Clone, Default)]
pub struct Services(Vec<Named>);

#[derive(Clone)]
struct Named {
    name: &'static str,
    call: Call,
    shapes: Option<Shapes>,
}

impl Services {
    /// Adds a generated service.
    #[must_use]
    pub fn with<S: Generated>(self, service: S) -> Self {
        self.add(S::NAME, None, move || service.clone())
    }

    /// Adds a service that is none of ours, whose methods have these shapes.
    #[must_use]
    pub fn with_shapes<S: Generated>(self, service: S, shapes: fn(&str) -> Shape) -> Self {
        self.add(S::NAME, Some(shapes), move || service.clone())
    }

    /// Adds a generated service that is made when it is first called.
    #[must_use]
    pub fn with_lazy<S: Generated>(self, make: fn() -> S) -> Self {
        let service = LazyLock::new(make);
        self.add(S::NAME, None, move || service.clone())
    }

    fn add<S: Generated>(
        mut self,
        name: &'static str,
        shapes: Option<Shapes>,
        service: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        self.0.push(Named {
            name,
            call: Arc::new(move |request| service().call(request)),
            shapes,
        });
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
        let Ok(response) = (self.named(service)?.call)(request).await;
        Some(response)
    }

    /// How many messages go which way.
    pub(crate) fn shape(&self, method: Method<'_>) -> Shape {
        match self.named(method.service).and_then(|named| named.shapes) {
            Some(shapes) => shapes(method.name),
            None => method.shape(),
        }
    }

    fn named(&self, service: &str) -> Option<&Named> {
        self.0.iter().find(|named| named.name == service)
    }
}
