//! `ProtonService`: 87 methods, each of them [`Facade::call`].

use tonic::{Request, Response, Status};

use super::Facade;
use crate::api::{operation, pb, pb::proton_service_server::ProtonService};

include!(concat!(env!("OUT_DIR"), "/service.rs"));
